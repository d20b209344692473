/** The clock that nobody sets: for how long something took or may take, never for when it was. */
import { Clock, Effect } from "effect"

/** Milliseconds since some moment; they only rise, and as fast as time passes. */
export const steadyMillis: Effect.Effect<number> = Effect.map(
  Clock.monotonicTimeNanos,
  (nanos) => Number(nanos) / 1e6
)
