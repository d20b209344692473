/** Which fence this machine really offers: each is tried once with a step that does nothing. */
import { accessSync, constants, existsSync } from "node:fs"
import { chmod, chown, mkdir, symlink, unlink, writeFile } from "node:fs/promises"
import { delimiter, join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect, Option } from "effect"
import { attempt } from "../BuildFault.ts"
import { npmrc, yarnrc } from "../ToolSettings.ts"
import { makeWork } from "../Workplaces.ts"
import { findGroups, sweepGroups } from "./BuildGroup.ts"
import { type Fence, type FenceSettings, makeFence } from "./Fence.ts"
import { helper } from "./network/Way.ts"
import { bubblewrap, buildUser, plain, type SandboxParts } from "./Sandbox.ts"
import { runStep } from "./Step.ts"

export const probeFence = Effect.fn("BuildProcess.probeFence")(function* (
  parts: SandboxParts,
  settings: FenceSettings,
  work: string
): Effect.fn.Return<Fence, BuildError> {
  const root = process.getuid?.() === 0
  const program = executable("bwrap", parts.searchPath)
  const prlimit = executable("prlimit", parts.searchPath)
  if (program !== null) {
    const sandbox = bubblewrap(program, yield* versionOf(program), parts)
    const groups = yield* findGroups
    if (groups !== null) yield* sweepGroups(groups)
    for (const of of groups === null ? [null] : [groups, null]) {
      const fence = makeFence(sandbox, of, prlimit, settings)
      if (yield* works(fence, work)) return fence
    }
  }
  const why =
    program === null
      ? "bubblewrap is not installed"
      : "bubblewrap is installed but cannot make its namespaces here"
  const unprivileged = makeFence(plain(why, buildUser, parts), null, prlimit, settings)
  if (root && (yield* works(unprivileged, work))) return unprivileged
  return makeFence(plain(why, null, parts), null, prlimit, settings)
}, Effect.scoped)

/** Whether a step can run there and write into its directory, at its full path. */
const works = (fence: Fence, parent: string) =>
  Effect.gen(function* () {
    const { directory, name } = yield* makeWork(parent)
    const place = { app: join(directory, "app"), home: join(directory, "home"), cache: directory }
    yield* attempt("make a work directory", async () => {
      for (const path of [place.app, place.home]) {
        await mkdir(path)
        await chmod(path, 0o755)
        if (fence.user !== null) await chown(path, fence.user, fence.user)
      }
    })
    const line = 'cd "$(pwd)" && : > probe'
    const step = { line, place, variables: {}, name, output: () => {}, refused: () => {} }
    const end = yield* Effect.option(fence.run(step))
    return Option.isSome(end) && end.value.code === 0
  }).pipe(Effect.scoped)

const versionOf = (program: string) =>
  Effect.gen(function* () {
    let text = ""
    const launch = { file: program, args: ["--version"], env: {}, cwd: "/" }
    const output = (_: string, chunk: string) => {
      text += chunk
    }
    yield* runStep(launch, "version", { output })
    return /\d+\.\d+(?:\.\d+)?/u.exec(text)?.[0] ?? "of unknown version"
  })

export const executable = (name: string, searchPath: string): string | null => {
  const found = searchPath
    .split(delimiter)
    .filter((directory) => directory.startsWith("/"))
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
  return found ?? null
}

/** The certificates that this machine trusts, in one file. */
export const systemCa = (): string | null =>
  [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem"
  ].find((path) => existsSync(path)) ?? null

export interface EtcOptions {
  readonly npm: string | null
  readonly npmRegistry: string | null
}

/** The few files of `/etc` that steps see instead of the machine's own. */
export const writeEtc = (etc: string, options: EtcOptions): Effect.Effect<void, BuildError> =>
  attempt("write the build settings", async () => {
    const user = process.getuid?.() === 0 ? buildUser : (process.getuid?.() ?? buildUser)
    await mkdir(join(etc, "bin"), { recursive: true })
    await chmod(join(etc, "bin"), 0o755)
    await writeReadable(join(etc, "passwd"), `build:x:${user}:${user}::/home/build:/bin/sh\n`)
    await writeReadable(join(etc, "group"), `build:x:${user}:\n`)
    await writeReadable(join(etc, "hosts"), "127.0.0.1 localhost\n::1 localhost\n")
    await writeReadable(join(etc, "nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files\n")
    await writeReadable(join(etc, "way.cjs"), helper)
    await writeReadable(join(etc, "npmrc"), npmrc(options.npmRegistry))
    await writeReadable(join(etc, "yarnrc.yml"), yarnrc(options.npmRegistry))
    if (options.npm === null) return
    for (const name of ["npm", "npx"]) {
      const path = join(etc, "bin", name)
      await unlink(path).catch(() => {})
      await symlink(join(options.npm, "bin", `${name}-cli.js`), path)
    }
  })

const writeReadable = (path: string, text: string) =>
  writeFile(path, text).then(() => chmod(path, 0o644))
