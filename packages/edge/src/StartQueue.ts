/** Lets a few starts run at a time, so that bringing back many services does not time all of them out. */
export interface StartQueue {
  /**
   * Runs `begin` when a place is free, never before `add` has returned; `urgent` goes to the front.
   * The place is free again when it settles.
   */
  readonly add: (begin: () => Promise<void>, urgent: boolean) => void
  /** How many wait for a place. */
  readonly waiting: number
}

export const makeStartQueue = (places: number): StartQueue => {
  const waiting: Array<() => Promise<void>> = []
  let running = 0
  const next = (): void => {
    if (running >= places) return
    const begin = waiting.shift()
    if (begin === undefined) return
    running += 1
    const leave = (): void => {
      running -= 1
      next()
    }
    Promise.resolve().then(begin).then(leave, leave)
  }
  return {
    add: (begin, urgent) => {
      if (urgent) waiting.unshift(begin)
      else waiting.push(begin)
      next()
    },
    get waiting() {
      return waiting.length
    }
  }
}
