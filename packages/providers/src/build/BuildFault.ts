/** How this provider fails: entries of the catalogue, never a path or a stack of the host. */
import { BuildError } from "@deploy-mcp/domain/Build"
import { Failure } from "@deploy-mcp/domain/Failure"
import { Rejected, Unavailable } from "@deploy-mcp/domain/Fault"
import { Effect } from "effect"

/** The tenant can mend it. */
export const rejected = (...args: Parameters<typeof Failure.of>): BuildError =>
  new BuildError({ reason: new Rejected({ failure: Failure.of(...args) }) })

/** The machine is at fault; the same call may succeed later. */
export const unavailable = (detail: string): BuildError =>
  new BuildError({ reason: new Unavailable({ detail }) })

/** One call of the operating system; `doing` completes "Could not …". */
export const attempt = <A>(
  doing: string,
  call: () => A | PromiseLike<A>
): Effect.Effect<A, BuildError> =>
  Effect.tryPromise({
    try: () => Promise.resolve().then(call),
    catch: (cause) => unavailable(`Could not ${doing}: ${errorCode(cause)}.`)
  })

/** The same for calls that are too short to wait for. */
export const attemptSync = <A>(doing: string, call: () => A): Effect.Effect<A, BuildError> =>
  Effect.try({
    try: call,
    catch: (cause) => unavailable(`Could not ${doing}: ${errorCode(cause)}.`)
  })

/** `ENOSPC` and its like; messages of such errors hold paths of the host. */
export const errorCode = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "unexpected"
