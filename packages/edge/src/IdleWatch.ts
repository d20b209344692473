/**
 * Finds exchanges in which not a byte has moved for too long. One timer looks after all of them: a
 * timer for each would be a quarter of what a request costs.
 */
import type { ClientRequest } from "node:http"

export interface Watched {
  /** The way to the process; null: there is none yet. */
  outgoing: ClientRequest | null
  /** Silence is no fault: a stream of events may have nothing to say for hours. */
  endless: boolean
  readonly onSilent: () => void
}

export interface IdleWatch {
  readonly add: (watched: Watched) => void
  readonly remove: (watched: Watched) => void
}

/** Calls back after `idleMs` without a byte, or up to a quarter of it later. */
export const makeIdleWatch = (idleMs: number): IdleWatch => {
  const all = new Map<Watched, Seen>()
  const look = (): void => {
    for (const [watched, seen] of all) {
      const bytes = bytesOf(watched.outgoing)
      if (bytes !== seen.bytes || watched.endless) {
        seen.bytes = bytes
        seen.looks = 0
      } else if (++seen.looks === 4) watched.onSilent()
    }
  }
  setInterval(look, idleMs / 4).unref()
  return {
    add: (watched) => void all.set(watched, { bytes: -1, looks: 0 }),
    remove: (watched) => void all.delete(watched)
  }
}

interface Seen {
  bytes: number
  /** How often it was looked at since the last byte. */
  looks: number
}

const bytesOf = (outgoing: ClientRequest | null): number =>
  (outgoing?.socket?.bytesRead ?? 0) + (outgoing?.socket?.bytesWritten ?? 0)
