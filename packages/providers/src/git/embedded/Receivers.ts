/**
 * A push comes in two requests. The git that receives it is started after the answer to the first one,
 * while the pusher's own git packs what it has: so nobody waits for its start.
 */
import type { GitError } from "@deploy-mcp/domain/Git"
import { Effect, Exit, Fiber } from "effect"
import type { Launched } from "./Backend.ts"

export interface Receivers {
  /** Called when a push to the repository is likely to come; `launch` runs a moment later, if at all. */
  readonly expect: (
    repository: string,
    launch: Effect.Effect<Launched, GitError>
  ) => Effect.Effect<void>
  /** The one that was started for the repository, which is the caller's from now on; null: there is none. */
  readonly take: (repository: string) => Effect.Effect<Launched | null>
}

/** Those that nobody takes are stopped, at the latest when the scope ends. */
export const make = Effect.gen(function* () {
  const lasting = yield* Effect.scope
  const waiting = new Map<string, Fiber.Fiber<Launched, GitError>>()

  const take = Effect.fnUntraced(function* (repository: string) {
    const launching = waiting.get(repository)
    if (launching === undefined) return null
    waiting.delete(repository)
    const launched = yield* Fiber.await(launching)
    return Exit.isSuccess(launched) && !launched.value.isGone() ? launched.value : null
  })
  const dismiss = (repository: string) =>
    Effect.flatMap(take(repository), (unused) => unused?.stop ?? Effect.void)
  yield* Effect.addFinalizer(() => Effect.forEach([...waiting.keys()], dismiss, { discard: true }))

  return {
    expect: Effect.fnUntraced(function* (repository, launch) {
      if (waiting.has(repository) || waiting.size >= most) return
      const launching = yield* Effect.forkIn(Effect.delay(launch, answered), lasting)
      waiting.set(repository, launching)
      yield* Effect.suspend(() =>
        waiting.get(repository) === launching ? dismiss(repository) : Effect.void
      ).pipe(Effect.delay(patience), Effect.forkIn(lasting))
    }),
    take
  } satisfies Receivers
})

/** To start a process keeps everything else waiting, so the answer goes out first. */
const answered = "1 millis"

/** Who asks where the refs stand may have nothing to push. */
const patience = "3 seconds"
const most = 8
