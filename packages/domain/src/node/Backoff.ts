/** How long to wait before a process that has ended is started again. */
import type { ProcessFailure } from "./NodeProtocol.ts"

/** Milliseconds. */
export interface Backoff {
  readonly first: number
  readonly longest: number
  /** Up for this long: earlier ends are forgotten. */
  readonly stable: number
  /** So many ends within `pauseWindow` pause it; 0 or absent: it is started again for ever. */
  readonly pauseAfter?: number
}

export const defaultBackoff: Backoff = { first: 100, longest: 30_000, stable: 60_000 }

/** Ends that pause a process where nothing else is set. */
export const defaultPauseAfter = 10

/** Milliseconds. */
const pauseWindow = 10 * 60_000

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

/** Tells of each end of one process, with the time of it, whether it was one too many. */
export const makeBreaker = ({ pauseAfter = 0 }: Backoff) => {
  let ends: ReadonlyArray<number> = []
  return (last: ProcessFailure, now: number): ProcessFailure | null => {
    if (pauseAfter <= 0) return null
    ends = [...ends.filter((end) => end > now - pauseWindow), now]
    if (ends.length < pauseAfter) return null
    const cause = `The process ended ${ends.length} times within ten minutes and is not started any more.`
    return { ...last, code: "paused", cause: `${cause} ${last.cause}` }
  }
}

const inLoop = (last: ProcessFailure, ends: number): ProcessFailure => ({
  ...last,
  code: "crash_loop",
  cause: `The process ended ${ends} times in a row. ${last.cause}`
})
