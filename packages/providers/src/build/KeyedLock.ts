/** One at a time for each key; different keys do not wait for each other. */
import { Effect, Semaphore } from "effect"

export interface KeyedLock {
  readonly holding: (
    key: string
  ) => <A, E, R>(use: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

interface Entry {
  readonly semaphore: Semaphore.Semaphore
  users: number
}

export const make: Effect.Effect<KeyedLock> = Effect.sync(() => {
  const entries = new Map<string, Entry>()
  const enter = (key: string) =>
    Effect.sync(() => {
      const entry = entries.get(key) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
      entry.users += 1
      entries.set(key, entry)
      return entry
    })
  const leave = (key: string, entry: Entry) =>
    Effect.sync(() => {
      entry.users -= 1
      if (entry.users === 0) entries.delete(key)
    })
  return {
    holding: (key) => (use) =>
      Effect.acquireUseRelease(
        enter(key),
        (entry) => entry.semaphore.withPermit(use),
        (entry) => leave(key, entry)
      )
  }
})
