/**
 * The sleep of a release that nobody asks: first it stands still in memory, later it is stopped, and
 * the next request wakes it. For control it is healthy all the while.
 */
import type { Asleep, ProcessWorkload, Workload } from "@deploy-mcp/domain/node/NodeProtocol"
import { reasonOf } from "./Log.ts"
import type { Sleepers } from "./Sleepers.ts"

export interface Sleep {
  /** Null: it is awake. */
  readonly depth: Asleep | null
  /** It can answer, or has answered the last one who asked: its time begins anew. */
  readonly used: () => void
  /** Does nothing when it is awake or wakes up already. */
  readonly wake: () => void
  /** Its process has become something else by itself: it does not sleep any more. */
  readonly disturbed: () => void
  /** It is taken out of service; resolves when nothing is being done to its process any more. */
  readonly leave: () => Promise<void>
}

export interface SleepOptions {
  readonly release: string
  /** Milliseconds without a request. */
  readonly idleAfter: number
  readonly sleepers: Sleepers
  /** It can answer, and answers nobody. */
  readonly isIdle: () => boolean
  /** No request may go to it from now on. */
  readonly close: () => void
  /** Answers with the bytes that stay in memory; null: it could not be frozen. */
  readonly freeze: () => Promise<number | null>
  readonly thaw: () => Promise<void>
  /** Resolves when nothing of it runs. */
  readonly stop: () => Promise<void>
  /** Whatever comes of it is a disturbance. */
  readonly start: () => void
  /** The depth is another one; says so in words. */
  readonly onChange: (words: string) => void
}

/** What has workers, or is one, works although nobody asks it. */
export const maySleep = (
  workload: Workload
): workload is ProcessWorkload & { readonly idleAfter: number } =>
  workload.kind === "process" &&
  typeof workload.idleAfter === "number" &&
  workload.listens !== false &&
  Object.keys(workload.workers ?? {}).length === 0

export const neverSleeps: Sleep = {
  depth: null,
  used: () => {},
  wake: () => {},
  disturbed: () => {},
  leave: async () => {}
}

export const makeSleep = (options: SleepOptions): Sleep => {
  const { idleAfter, release, sleepers } = options
  let depth: Asleep | null = sleepers.slept(release) ? "stopped" : null
  let waking = false
  let left = false
  let usedAt = 0
  let timer: NodeJS.Timeout | null = null
  /** One thing after the other: what is being frozen can't be thawed yet. */
  let work: Promise<void> = Promise.resolve()
  const next = (step: () => Promise<void>): void => {
    work = work.then(() => (left ? undefined : step())).catch(failed)
  }
  const failed = (error: unknown): void => {
    disturbed()
    options.onChange(`Its sleep went wrong: ${reasonOf(error)}.`)
  }

  const watch = (ms: number): void => {
    timer = setTimeout(look, Math.ceil(ms))
    timer.unref()
  }
  const look = (): void => {
    timer = null
    // Whoever is answered now, or makes it healthy again, begins its time anew.
    if (left || depth !== null || !options.isIdle()) return
    const missing = usedAt + idleAfter - performance.now()
    if (missing > 0) watch(missing)
    else fallAsleep()
  }
  const used = (): void => {
    usedAt = performance.now()
    if (timer === null && !left) watch(idleAfter)
  }

  const fallAsleep = (): void => {
    depth = "frozen"
    sleepers.asleep(release)
    options.close()
    next(async () => {
      if (depth !== "frozen") return
      const bytes = await options.freeze().catch(() => null)
      // Its process ended meanwhile: what was frozen may be the one that came after it.
      if (depth === null) return await options.thaw()
      if (bytes === null) return await wakeUp()
      if (waking || left) return
      options.onChange(`Put to sleep after ${idleAfter / 1000} s without a request.`)
      sleepers.hold({ release, bytes, usedAt, stop })
    })
  }
  const stop = (): void =>
    next(async () => {
      if (depth !== "frozen" || waking) return
      await options.stop()
      depth = "stopped"
      options.onChange("Stopped in its sleep; the next request starts it.")
    })
  const wakeUp = async (): Promise<void> => {
    if (depth === "stopped") return options.start()
    await options.thaw()
    if (depth === null) return
    disturbed()
    options.onChange("Woken up.")
  }
  const disturbed = (): void => {
    // What is stopped with its edge is found asleep by the next one.
    if (left) return
    if (depth !== null) sleepers.awake(release)
    depth = null
    waking = false
    used()
  }

  return {
    get depth() {
      return depth
    },
    used,
    wake: () => {
      if (depth === null || waking || left) return
      waking = true
      sleepers.drop(release)
      next(wakeUp)
    },
    disturbed,
    leave: () => {
      left = true
      if (timer !== null) clearTimeout(timer)
      sleepers.drop(release)
      return work
    }
  }
}
