/**
 * Who sleeps on this node. It is kept on disk, so that a new edge starts only what was awake, and
 * frozen releases share a limited part of the machine's memory: those that were used least recently
 * are stopped first.
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Log, reasonOf } from "./Log.ts"

/** A frozen release and what it costs. */
export interface Sleeper {
  readonly release: string
  readonly bytes: number
  /** By `performance.now()`. */
  readonly usedAt: number
  /** Called once at most: it is to give its memory back. */
  readonly stop: () => void
}

export interface Sleepers {
  /** It slept when the edge ended. */
  readonly slept: (release: string) => boolean
  readonly asleep: (release: string) => void
  readonly awake: (release: string) => void
  /** It holds memory while it sleeps; somebody may have to be stopped for it. */
  readonly hold: (sleeper: Sleeper) => void
  /** It holds none any more. */
  readonly drop: (release: string) => void
  /** Resolves when the disk says what is so. */
  readonly close: () => Promise<void>
}

export interface SleepersOptions {
  readonly folder: string
  readonly log: Log
  /** Releases that there are; others are forgotten. */
  readonly listed: ReadonlySet<string>
  /** Bytes that all frozen releases may hold together. */
  readonly frozenBytes: number
  /** Milliseconds after which a frozen release is stopped in any case. */
  readonly frozenMs: number
}

export const loadSleepers = async (options: SleepersOptions): Promise<Sleepers> => {
  const { folder, frozenBytes, frozenMs, listed, log } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const before = new Set<string>()
  for (const name of await readdir(folder)) {
    if (listed.has(name)) before.add(name)
    else await rm(join(folder, name), { recursive: true, force: true })
  }
  const held = new Map<string, { readonly sleeper: Sleeper; readonly timer: NodeJS.Timeout }>()
  let writing = Promise.resolve()
  const write = (change: () => Promise<void>): void => {
    writing = writing.then(change).catch((error: unknown) => {
      log(`can't keep on disk who sleeps: ${reasonOf(error)}`)
    })
  }
  const drop = (release: string): void => {
    clearTimeout(held.get(release)?.timer)
    held.delete(release)
  }
  const stop = ({ release, stop }: Sleeper): void => {
    drop(release)
    stop()
  }
  const makeRoom = (): void => {
    const byUse = [...held.values()].map(({ sleeper }) => sleeper)
    byUse.sort((a, b) => a.usedAt - b.usedAt)
    let bytes = byUse.reduce((sum, sleeper) => sum + sleeper.bytes, 0)
    for (const sleeper of byUse) {
      if (bytes <= frozenBytes) return
      bytes -= sleeper.bytes
      stop(sleeper)
    }
  }
  return {
    slept: (release) => before.has(release),
    asleep: (release) => write(() => writeFile(join(folder, release), "")),
    awake: (release) => {
      before.delete(release)
      drop(release)
      write(() => rm(join(folder, release), { force: true }))
    },
    hold: (sleeper) => {
      const timer = setTimeout(() => stop(sleeper), frozenMs)
      timer.unref()
      held.set(sleeper.release, { sleeper, timer })
      makeRoom()
    },
    drop,
    close: () => writing
  }
}
