/** A clock that stands still until it is told to go on, or back. */
import type { Time } from "../Time.ts"

export interface StepTime extends Time {
  /** Every timer that this makes due has called back when it returns, in their order. */
  readonly step: (ms: number) => void
  /** Somebody sets the clock: no timer feels it. */
  readonly set: (now: number) => void
}

export const stepTime = (start: string): StepTime => {
  const timers = new Map<symbol, { readonly due: number; readonly callback: () => void }>()
  let now = Date.parse(start)
  let passed = 0
  const nextBy = (end: number) =>
    [...timers].filter(([, { due }]) => due <= end).sort(([, a], [, b]) => a.due - b.due)[0]
  return {
    now: () => now,
    after: (ms, callback) => {
      const key = Symbol()
      timers.set(key, { due: passed + ms, callback })
      return () => timers.delete(key)
    },
    set: (at) => {
      now = at
    },
    step: (ms) => {
      const end = passed + ms
      for (let next = nextBy(end); next !== undefined; next = nextBy(end)) {
        const [key, { callback, due }] = next
        timers.delete(key)
        now += due - passed
        passed = due
        callback()
      }
      now += end - passed
      passed = end
    }
  }
}
