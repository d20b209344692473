/** A root file system to make a container of, from what this machine has: no registry is asked. */
import { execFileSync, spawn } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { Readable } from "node:stream"
import { Effect, type Scope } from "effect"

/** As a tar: the Node.js that runs this, its libraries, and busybox with its tools. */
export const baseImage: Effect.Effect<Readable, never, Scope.Scope> = Effect.gen(function* () {
  const root = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "base-image-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const put = (from: string, to: string) => {
    mkdirSync(join(root, dirname(to)), { recursive: true })
    copyFileSync(from, join(root, to))
  }
  put(process.execPath, "/usr/local/bin/node")
  for (const library of librariesOf(process.execPath)) put(library, library)
  put(busybox, "/bin/busybox")
  for (const tool of toolsOf(busybox)) symlinkSync("busybox", join(root, "bin", tool))
  for (const folder of ["app", "etc", "root", "usr/bin"])
    mkdirSync(join(root, folder), { recursive: true })
  mkdirSync(join(root, "tmp"), { mode: 0o1777 })
  symlinkSync("../../bin/env", join(root, "usr/bin/env"))
  writeFileSync(join(root, "etc/passwd"), passwd)
  writeFileSync(join(root, "etc/group"), group)
  const tar = spawn(
    "tar",
    ["-C", root, "--owner=0", "--group=0", "--numeric-owner", "-cf", "-", "."],
    {
      stdio: ["ignore", "pipe", "ignore"]
    }
  )
  return tar.stdout
})

const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((file) => existsSync(file)) ?? ""

/** Where the program looks for them: `/lib/…/libc.so.6` and the loader itself. */
const librariesOf = (program: string): ReadonlyArray<string> =>
  [...execFileSync("ldd", [program], { encoding: "utf8" }).matchAll(/(\/\S+) \(0x/gu)].map(
    ([, path = ""]) => path
  )

const toolsOf = (program: string): ReadonlyArray<string> =>
  execFileSync(program, ["--list"], { encoding: "utf8" })
    .split("\n")
    .filter((tool) => tool !== "" && tool !== "busybox")

const passwd = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/sh
`
const group = `root:x:0:
nogroup:x:65534:
`
