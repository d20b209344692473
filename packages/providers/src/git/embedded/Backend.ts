/** One git that serves a request, with all that it starts: a process group that ends with its scope. */
import { spawn } from "node:child_process"
import { Readable, Writable } from "node:stream"
import type { GitError } from "@deploy-mcp/domain/Git"
import { Effect, Exit, type Scope } from "effect"
import { unavailable } from "../GitFault.ts"

export interface Backend {
  readonly input: Writable
  readonly output: Readable
  /** What the hooks say, as it grows; complete when `gone`. */
  readonly reported: () => string
  /** Ends when the report matches, or never will. */
  readonly awaitReport: (pattern: RegExp) => Effect.Effect<void>
  /** What the pusher's terminal shows. */
  readonly answer: Writable
  /**
   * An early end of input makes git give up and tidy up by itself; a signal in the middle of work
   * can leave a lock or half-received objects behind, so signals come after it.
   */
  readonly stop: Effect.Effect<void>
}

/** Not in a scope yet. */
export interface Launched extends Backend {
  readonly isGone: () => boolean
  readonly gone: Effect.Effect<void>
}

export const inScope = (
  launch: Effect.Effect<Launched, GitError>
): Effect.Effect<Backend, GitError, Scope.Scope> =>
  Effect.acquireRelease(launch, (backend, exit) =>
    // After an answer in full the processes are on their way out: let them tidy up.
    Effect.andThen(
      Exit.isSuccess(exit) ? awaitEnd(backend, "2 seconds") : Effect.void,
      backend.stop
    )
  )

export const launch = (
  program: string,
  args: ReadonlyArray<string>,
  env: Record<string, string>
): Effect.Effect<Launched, GitError> =>
  Effect.callback((resume) => {
    const child = spawn(program, args, { env, detached: true, stdio: Array(5).fill("pipe") })
    const [input, output, errors, report, answer] = child.stdio
    const failed = (cause: unknown) =>
      resume(
        Effect.andThen(
          Effect.logError("git could not be started", cause),
          Effect.fail(unavailable("git cannot be started on this server now."))
        )
      )
    child.on("error", failed)
    if (
      !(input instanceof Writable && output instanceof Readable && errors instanceof Readable) ||
      !(report instanceof Readable && answer instanceof Writable)
    ) {
      return failed(new Error("a pipe is missing"))
    }
    // A process that goes away while we write to it is no news: its output tells why.
    for (const pipe of [input, output, errors, report, answer]) pipe.on("error", () => {})
    errors.resume()
    let text = ""
    report.setEncoding("utf8").on("data", (more: string) => {
      text += more
    })
    const closed = Effect.callback<void>((done) => {
      if (report.closed) return done(Effect.void)
      report.once("close", () => done(Effect.void))
    })
    const kill = (signal: "SIGTERM" | "SIGKILL") =>
      Effect.sync(() => {
        // While descriptor 3 is open a member of the group lives, so the number is not reused.
        if (child.pid !== undefined && !report.closed) {
          try {
            process.kill(-child.pid, signal)
          } catch {
            // It went between the check and the signal.
          }
        }
      })
    child.once("spawn", () =>
      resume(
        Effect.succeed({
          input,
          output,
          reported: () => text,
          awaitReport: (pattern) =>
            Effect.callback<void>((done) => {
              const look = () => {
                if (!report.closed && !pattern.test(text)) return
                report.off("data", look).off("close", look)
                done(Effect.void)
              }
              report.on("data", look).once("close", look)
              look()
            }),
          answer,
          isGone: () => report.closed,
          gone: closed,
          stop: Effect.gen(function* () {
            input.end()
            answer.end()
            yield* Effect.timeoutOption(closed, "500 millis")
            yield* kill("SIGTERM")
            yield* Effect.timeoutOption(closed, "2 seconds")
            yield* kill("SIGKILL")
            yield* Effect.timeoutOption(closed, "2 seconds")
            for (const pipe of [input, output, errors, answer]) pipe.destroy()
          })
        })
      )
    )
  })

const awaitEnd = (backend: Launched, limit: "2 seconds") =>
  Effect.timeoutOption(backend.gone, limit)

/** Ends when the bytes have left, or when nobody is left to read them. */
export const write = (to: Writable, bytes: Uint8Array | string): Effect.Effect<void> =>
  Effect.callback<void>((done) => {
    if (to.destroyed || to.writableEnded) return done(Effect.void)
    to.write(bytes, () => done(Effect.void))
  })

export const end = (to: Writable): Effect.Effect<void> =>
  Effect.sync(() => {
    to.end()
  })
