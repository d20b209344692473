/**
 * Sessions of the 2025 revisions: bound to the key that opened them, limited for each key, forgotten
 * when idle. A session id is a place to deliver to, never a login.
 */

export interface Session<Transport> {
  readonly id: string
  /** The id of the key that opened it. */
  readonly key: string
  readonly transport: Transport
}

export interface Limits {
  readonly perKey: number
  readonly idleMillis: number
}

export const defaultLimits: Limits = { perKey: 32, idleMillis: 30 * 60_000 }

export const makeSessions = <Transport>(
  close: (transport: Transport) => void,
  { perKey, idleMillis }: Limits = defaultLimits
) => {
  const open = new Map<string, Session<Transport> & { seenAt: number }>()
  const end = (id: string) => {
    const session = open.get(id)
    // Deleted first: closing calls back into here.
    if (session !== undefined && open.delete(id)) close(session.transport)
  }
  return {
    /** The oldest of the same key gives way when there are too many: a client that missed it starts anew. */
    add: (session: Session<Transport>, now: number) => {
      const own = [...open.values()].filter(({ key }) => key === session.key)
      own
        .sort((a, b) => a.seenAt - b.seenAt)
        .slice(0, Math.max(0, own.length - perKey + 1))
        .forEach(({ id }) => {
          end(id)
        })
      open.set(session.id, { ...session, seenAt: now })
    },
    /** Only for the key that opened it; counts as a sign of life. */
    find: (id: string, key: string, now: number): Session<Transport> | undefined => {
      const session = open.get(id)
      if (session === undefined || session.key !== key) return undefined
      if (now - session.seenAt >= idleMillis) {
        end(id)
        return undefined
      }
      session.seenAt = now
      return session
    },
    end,
    endIdle: (now: number) => {
      for (const { id, seenAt } of [...open.values()]) if (now - seenAt >= idleMillis) end(id)
    },
    endAll: () => {
      for (const id of [...open.keys()]) end(id)
    },
    size: () => open.size
  }
}
