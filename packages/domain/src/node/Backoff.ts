/** How long to wait before a process that has ended is started again. */
import type { ProcessFailure } from "./NodeProtocol.ts"

/** Milliseconds. */
export interface Backoff {
  readonly first: number
  readonly longest: number
  /** Up for this long: earlier ends are forgotten. */
  readonly stable: number
}

export const defaultBackoff: Backoff = { first: 100, longest: 30_000, stable: 60_000 }

/** So many ends in a row are a loop. */
const crashLoop = 5

export interface Restart {
  /** Says that it is a loop, once it is one. */
  readonly failure: ProcessFailure
  readonly pauseMs: number
}

/** Counts the ends of one process; each gets a longer pause than the one before it. */
export const countEnds = (backoff: Backoff) => {
  let ends = 0
  return (failure: ProcessFailure, upMs: number): Restart => {
    ends = upMs >= backoff.stable ? 1 : ends + 1
    if (ends >= crashLoop) return { failure: inLoop(failure, ends), pauseMs: backoff.longest }
    return { failure, pauseMs: Math.min(backoff.longest, backoff.first * 2 ** (ends - 1)) }
  }
}

const inLoop = (last: ProcessFailure, ends: number): ProcessFailure => ({
  ...last,
  code: "crash_loop",
  cause: `The process ended ${ends} times in a row. ${last.cause}`
})
