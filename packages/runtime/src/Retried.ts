/** A provider's call, tried again for a second or two while it says that this may help. */
import { Effect, Schedule } from "effect"

const briefly = Schedule.exponential("100 millis")
const times = 4

/** `told` hears of each failure that another attempt follows. */
export const retried = <A, E extends { readonly isRetryable: boolean }, R>(
  effect: Effect.Effect<A, E, R>,
  told: (error: E) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let left = times
    return effect.pipe(
      Effect.tapError((error) => (error.isRetryable && left-- > 0 ? told(error) : Effect.void)),
      Effect.retry({ schedule: briefly, times, while: (error) => error.isRetryable })
    )
  })
