/** The disk that the home is on. */
import { statfs } from "node:fs/promises"
import { Effect } from "effect"

/** Bytes: what whoever is not root may still write, and what there is in all. */
export const diskOf = (
  home: string
): Effect.Effect<{ readonly free: number; readonly size: number }> =>
  Effect.promise(async () => {
    const { bavail, blocks, bsize } = await statfs(home)
    return { free: bavail * bsize, size: blocks * bsize }
  })
