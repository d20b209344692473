/** Moving, copying, linking and removing whole directories, off the event loop. */
import { spawn } from "node:child_process"
import {
  chmod,
  lchown,
  lstat,
  mkdir,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  unlink
} from "node:fs/promises"
import { join, resolve } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { attempt, errorCode, rejected, unavailable } from "./BuildFault.ts"

/** A rename where the file system allows it, else a copy. `to` must not exist. */
export const move = (from: string, to: string): Effect.Effect<void, BuildError> =>
  attempt("move the files", () =>
    rename(from, to).then(
      () => true,
      (cause: unknown) => {
        if (errorCode(cause) === "EXDEV") return false
        throw cause
      }
    )
  ).pipe(
    Effect.flatMap((moved) =>
      moved ? Effect.void : copy(from, to).pipe(Effect.andThen(remove(from)))
    )
  )

/** Shares blocks where the file system can; links stay links. */
export const copy = (from: string, to: string): Effect.Effect<void, BuildError> =>
  run("copy the files", ["cp", "-a", "--reflink=auto", "-T", from, to])

/** Shares the files themselves: nobody may write to either side afterwards. */
export const link = (from: string, to: string): Effect.Effect<void, BuildError> =>
  run("link the files", ["cp", "-al", "-T", from, to]).pipe(
    // Another file system, or a file with as many names as it can have.
    Effect.catch(() => remove(to).pipe(Effect.andThen(copy(from, to))))
  )

export const own = (directory: string, user: number | null): Effect.Effect<void, BuildError> =>
  user === null
    ? Effect.void
    : run("give the files to the build user", ["chown", "-hR", `${user}:${user}`, directory])

/** Succeeds also when there is nothing to remove. */
export const remove = (path: string): Effect.Effect<void, BuildError> => {
  const erase = attempt("remove files", () =>
    rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
  )
  // A tenant may take its own directories' permissions away.
  const reclaim = run("remove files", ["chmod", "-R", "u+rwX", path]).pipe(Effect.ignore)
  return erase.pipe(Effect.catch(() => reclaim.pipe(Effect.andThen(erase))))
}

/** A program of the system with an argument vector; its output is of no interest. */
const run = (
  doing: string,
  [program = "", ...args]: ReadonlyArray<string>
): Effect.Effect<void, BuildError> =>
  Effect.callback<void, BuildError>((resume) => {
    const child = spawn(program, args, { stdio: "ignore", env: { PATH: systemPath, LC_ALL: "C" } })
    const closed = new Promise<void>((done) => {
      child.on("error", () => done())
      child.on("exit", () => done())
    })
    child.on("error", (cause) =>
      resume(Effect.fail(unavailable(`Could not ${doing}: ${program} ${errorCode(cause)}.`)))
    )
    child.on("exit", (code) =>
      resume(
        code === 0
          ? Effect.void
          : Effect.fail(unavailable(`Could not ${doing}: ${program} ended with ${code}.`))
      )
    )
    return Effect.promise(() => {
      child.kill("SIGKILL")
      return closed
    })
  })

const systemPath = "/usr/local/bin:/usr/bin:/bin"

/**
 * Makes a finished directory safe to hand out, whatever the umask and the tenant's build did: owned
 * by the platform, readable by every user, writable by its owner alone, only files, directories and
 * links. Answers with its size; fails when that is above `limit`. `skip` names an entry of the top
 * that has been through this already. With `jail`, links that lead out of the directory are removed.
 */
export const seal = Effect.fn("BuildProcess.seal")(function* (
  directory: string,
  options: { readonly limit: number; readonly skip?: string; readonly jail?: boolean }
): Effect.fn.Return<number, BuildError> {
  let bytes = 0
  const pending = [directory]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const current = next
    const found = yield* attempt("read the build output", () =>
      sealOne(current, { jail: options.jail === true ? directory : null })
    )
    bytes += found.bytes
    if (bytes > options.limit) {
      return yield* rejected(
        "output_too_large",
        `The build output is larger than ${Math.floor(options.limit / 1024 / 1024)} MiB.`
      )
    }
    for (const name of found.directories) {
      if (current !== directory || name !== options.skip) pending.push(join(current, name))
    }
  }
  return bytes
})

const sealOne = async (directory: string, { jail }: { jail: string | null }) => {
  const user = process.getuid?.()
  const self = await lstat(directory)
  if (user === 0 && self.uid !== 0) await lchown(directory, 0, 0)
  if ((self.mode & 0o7777) !== 0o755) await chmod(directory, 0o755)
  const directories: Array<string> = []
  let bytes = 0
  const entries = await readdir(directory, { withFileTypes: true })
  await Promise.all(
    entries.map(async (entry) => {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) return directories.push(entry.name)
      if (entry.isSymbolicLink()) return jail === null ? 0 : removeEscaping(path, jail)
      if (!entry.isFile()) return unlink(path)
      const stat = await lstat(path)
      bytes += stat.size
      if (user === 0 && stat.uid !== 0) await lchown(path, 0, 0)
      const mode = (stat.mode & 0o111) === 0 ? 0o644 : 0o755
      if ((stat.mode & 0o7777) !== mode) await chmod(path, mode)
      return 0
    })
  )
  return { directories, bytes }
}

/** Files are served by someone who may follow links, so what they lead to must be inside. */
const removeEscaping = async (path: string, jail: string) => {
  const base = await realpath(jail)
  const target = await realpath(path).catch(async () => resolve(path, "..", await readlink(path)))
  if (target !== base && !target.startsWith(`${base}/`)) await unlink(path)
}

/** Open to every user to read, whatever the umask; the directory may be there already. */
export const makeDirectory = (path: string): Effect.Effect<void, BuildError> =>
  attempt("make a directory", async () => {
    await mkdir(path, { recursive: true })
    await chmod(path, 0o755)
  })
