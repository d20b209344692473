/** Moving, copying, linking and removing whole directories, off the event loop. */
import { spawn } from "node:child_process"
import { chmod, mkdir, rename, rm } from "node:fs/promises"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { attempt, errorCode, unavailable } from "./BuildFault.ts"

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

/** Open to every user to read, whatever the umask; the directory may be there already. */
export const makeDirectory = (path: string): Effect.Effect<void, BuildError> =>
  attempt("make a directory", async () => {
    await mkdir(path, { recursive: true })
    await chmod(path, 0o755)
  })
