/** A provider's call, tried again for a second or two while it says that this may help. */
import { Effect, Schedule } from "effect"

const briefly = Schedule.exponential("100 millis")

export const retried = <A, E extends { readonly isRetryable: boolean }, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.retry(effect, { schedule: briefly, times: 4, while: (error) => error.isRetryable })
