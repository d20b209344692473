/** What nodes and the ingress have told, for those who wait until it is so. */
import { Effect, PubSub } from "effect"

export interface Observed {
  /** Something was told. */
  readonly changed: Effect.Effect<void>
  /** Waits until `read` gives a value; it is asked again after each change. */
  readonly until: <A>(read: () => A | undefined) => Effect.Effect<A>
}

export const makeObserved: Effect.Effect<Observed> = Effect.gen(function* () {
  const changes = yield* PubSub.unbounded<void>()
  return {
    changed: Effect.asVoid(PubSub.publish(changes, undefined)),
    until: (read) =>
      Effect.gen(function* () {
        const subscription = yield* PubSub.subscribe(changes)
        for (;;) {
          const value = read()
          if (value !== undefined) return value
          yield* PubSub.take(subscription)
        }
      }).pipe(Effect.scoped)
  }
})
