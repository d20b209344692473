/** How many of something each key has at the moment. */
export interface Counts {
  /** Counts one more; false when `key` has `most` already. */
  readonly take: (key: string, most: number) => boolean
  readonly give: (key: string) => void
}

export const makeCounts = (): Counts => {
  const counts = new Map<string, number>()
  return {
    take: (key, most) => {
      const count = counts.get(key) ?? 0
      if (count >= most) return false
      counts.set(key, count + 1)
      return true
    },
    give: (key) => {
      const count = counts.get(key) ?? 0
      if (count > 1) counts.set(key, count - 1)
      else counts.delete(key)
    }
  }
}
