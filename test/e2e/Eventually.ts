/** Waiting for what will happen, never for time to pass. */
import { setTimeout as pause } from "node:timers/promises"

type Nothing = undefined | false

/** Polls until `look` answers with something other than undefined or false. */
export const eventually = async <A>(
  what: string,
  look: () => A | Nothing | Promise<A | Nothing>,
  withinMs = 30_000
): Promise<A> => {
  const deadline = performance.now() + withinMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`)
    await pause(10)
  }
}
