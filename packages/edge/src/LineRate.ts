/**
 * How many lines a service may log in a second. What is too much is left out, and somebody is told
 * how much it was: before the next line, or when the second is over.
 */
export interface LineRate {
  /** False: it is one too many. */
  readonly admit: () => boolean
  /** Tells now what was left out. */
  readonly flush: () => void
}

export const makeLineRate = (perSecond: number, onLeftOut: (lines: number) => void): LineRate => {
  let began = Number.NEGATIVE_INFINITY
  let count = 0
  let leftOut = 0
  let timer: NodeJS.Timeout | null = null
  const flush = (): void => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    if (leftOut === 0) return
    const lines = leftOut
    leftOut = 0
    onLeftOut(lines)
  }
  /** A timer may be a little early by the clock: the second is over when it says so. */
  const end = (): void => {
    began = Number.NEGATIVE_INFINITY
    flush()
  }
  return {
    admit: () => {
      const now = performance.now()
      if (now - began >= 1_000) {
        flush()
        began = now
        count = 0
      }
      count += 1
      if (count <= perSecond) return true
      leftOut += 1
      timer ??= setTimeout(end, began + 1_000 - now).unref()
      return false
    },
    flush
  }
}
