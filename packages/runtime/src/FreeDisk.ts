/** What is left of the disk that the home is on. */
import { statfs } from "node:fs/promises"
import { Effect } from "effect"

/** Bytes that whoever is not root may still write. */
export const freeDisk = (home: string): Effect.Effect<number> =>
  Effect.promise(async () => {
    const { bavail, bsize } = await statfs(home)
    return bavail * bsize
  })
