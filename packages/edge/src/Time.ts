/** The clock on the wall, which may be set, and timers; another one for tests. */
export interface Time {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Calls back once; answers with how to forget it. */
  readonly after: (ms: number, callback: () => void) => () => void
}

export const realTime: Time = {
  now: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    timer.unref()
    return () => clearTimeout(timer)
  }
}
