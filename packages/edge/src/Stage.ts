/**
 * One stage, converged: what is listed runs, the route moves in one tick and only to a release that
 * can answer, and what is not listed any more leaves when its last request is done.
 */
import type {
  ReleaseObserved,
  ReleaseSpec,
  RouteObserved,
  StageSpec
} from "@deploy-mcp/domain/node/NodeProtocol"
import type { FileCache } from "./FileCache.ts"
import type { NodeKey } from "./NodeKey.ts"
import type { Processes } from "./process/Processes.ts"
import { type Release, startRelease } from "./Release.ts"
import { makeRest } from "./Rest.ts"
import type { RunRecords } from "./RunRecords.ts"
import type { RuntimeLog } from "./RuntimeLog.ts"
import type { Sleepers } from "./Sleepers.ts"
import type { StartQueue } from "./StartQueue.ts"
import type { Time } from "./Time.ts"
import { makeTimetable } from "./Timetable.ts"
import type { Variants } from "./Variants.ts"
import { makeShift, noWorkers } from "./Workers.ts"

export interface Stage {
  readonly spec: StageSpec
  /** Where a request goes now; it may still be starting. Null: nothing is live. */
  readonly target: Release | null
  readonly put: (spec: StageSpec) => void
  /** Takes everything out of service; resolves when nothing of it runs. */
  readonly remove: (generation: number) => Promise<void>
  /** The same without waiting for those being answered. */
  readonly close: () => Promise<void>
  /** How many wait for a change. */
  readonly waiting: number
  /** Calls back once, at the next change of any release or of the route; returns how to forget it. */
  readonly onceChanged: (callback: () => void) => () => void
  readonly observations: () => ReadonlyArray<ReleaseObserved | RouteObserved>
}

export interface StageOptions {
  readonly processes: Processes
  readonly nodeKey: NodeKey
  readonly starts: StartQueue
  readonly sleepers: Sleepers
  readonly runtimeLog: RuntimeLog
  readonly fileCache: FileCache
  readonly time: Time
  readonly runRecords: RunRecords
  readonly onRunEnd: (stage: string, outcome: string) => void
  readonly variants: Variants
  readonly emit: (observation: ReleaseObserved | RouteObserved) => void
  /** Milliseconds that those being answered get before their release is stopped. */
  readonly drainMs: number
  /** Milliseconds between SIGTERM and SIGKILL. */
  readonly graceMs: number
}

export const makeStage = (first: StageSpec, options: StageOptions): Stage => {
  const releases = new Map<string, Release>()
  const leaving = new Map<Release, Promise<void>>()
  const told = new Map<string, string>()
  const waiting = new Set<() => void>()
  let retry: NodeJS.Timeout | null = null
  let retries = 0
  let spec = first
  let routed: Release | null = null
  let route: RouteObserved | null = null
  let closing = false
  const shift = makeShift()
  const timetable = makeTimetable({
    stage: first.stage,
    time: options.time,
    starts: options.starts,
    records: options.runRecords,
    say: (release, words) =>
      options.runtimeLog.append(first.stage, release, "platform", words, "schedule"),
    onEnd: (outcome) => options.onRunEnd(first.stage, outcome),
    onChange: () => {
      if (routed !== null) tell(routed)
    }
  })
  const graceMs = (): number => (closing ? Math.min(2_000, options.graceMs) : options.graceMs)
  const rest = makeRest(options.sleepers, graceMs)

  const converge = (): void => {
    for (const listed of spec.releases) {
      const held = releases.get(listed.release)
      if (held === undefined) releases.set(listed.release, reviveOrStart(listed))
      else relist(held, listed)
    }
    moveRoute()
    const kept = new Set<string>(spec.releases.map((listed) => listed.release))
    for (const [id, release] of releases) {
      if (!kept.has(id) && release !== routed) retire(id, release)
    }
    for (const callback of [...waiting]) callback()
  }

  const moveRoute = (): void => {
    const wanted = spec.route === null ? null : (releases.get(spec.route) ?? null)
    if (spec.route !== null && wanted === null) return
    // Without a working predecessor, requests wait for the wanted one: so after a restart.
    if (wanted === null || isHealthy(wanted) || !routed?.everHealthy) routed = wanted
    shift.give(routed?.everHealthy ? routed.workers : noWorkers, graceMs())
    // One that comes back with its node has not been in place yet, and keeps its time.
    if (routed === null || routed.everHealthy) timetable.give(routed?.job ?? null)
    if (routed !== wanted || (wanted !== null && !wanted.everHealthy)) return
    const release = wanted?.spec.release ?? null
    if (route?.generation === spec.generation && route.release === release) return
    route = { type: "route", stage: spec.stage, generation: spec.generation, release }
    options.emit(route)
  }

  const reviveOrStart = (listed: ReleaseSpec): Release => {
    for (const release of leaving.keys()) {
      if (release.spec.release !== listed.release || !release.revive()) continue
      relist(release, listed)
      return release
    }
    const id = listed.release
    // Nothing calls back before startRelease has returned, so `release` is there when used.
    const release: Release = startRelease({
      ...options,
      rest,
      spec: listed,
      stage: spec,
      urgent: spec.route === id,
      onChange: () => changed(release),
      onLine: (stream, text, process) =>
        options.runtimeLog.append(spec.stage, id, stream, text, process)
    })
    tell(release)
    return release
  }

  const relist = (release: Release, listed: ReleaseSpec): void => {
    release.relist(listed)
    tell(release)
  }

  const changed = (release: Release): void => {
    tell(release)
    if (isHealthy(release)) retries = 0
    else if (release === routed && release.observed.state === "failed") retryLater(release)
    converge()
  }

  /** A routed release that can't be started worked once: elsewhere, before a restart or a sleep. */
  const retryLater = (release: Release): void => {
    const { kind } = release.spec.workload
    if ((release.everHealthy && kind !== "process") || retry !== null) return
    if (release.observed.failure?.code === "paused") return
    const delay = Math.min(1_000 * 2 ** retries, 60_000)
    retry = setTimeout(() => {
      retry = null
      if (release === routed) release.retry()
    }, delay)
    retries += 1
  }

  const observedOf = (release: Release): ReleaseObserved => {
    const { observed: schedule } = timetable
    const isOn = release === routed && release.job !== null && schedule !== undefined
    return { ...release.observed, ...(isOn ? { schedule } : {}) }
  }

  const tell = (release: Release): void => {
    const observed = observedOf(release)
    // The same release may have come back while its predecessor is still stopping.
    if ((releases.get(observed.release) ?? release) !== release) return
    const text = JSON.stringify(observed)
    if (told.get(observed.release) === text) return
    told.set(observed.release, text)
    options.emit(observed)
  }

  const retire = (id: string, release: Release): void => {
    releases.delete(id)
    // A new edge finds asleep what slept when this one ended.
    if (!closing) options.sleepers.awake(id)
    const drainMs = closing ? 0 : options.drainMs
    const gone = release.retire(drainMs, graceMs()).finally(() => {
      leaving.delete(release)
      if (!releases.has(id)) told.delete(id)
    })
    leaving.set(release, gone)
  }

  const remove = async (generation: number): Promise<void> => {
    if (retry !== null) clearTimeout(retry)
    // First: that nothing is routed here any more is no change of its schedule.
    const idle = Promise.all([timetable.close(graceMs()), rest.close()])
    spec = { ...spec, generation, hostnames: [], route: null, releases: [] }
    converge()
    await Promise.all([...leaving.values(), idle])
  }

  converge()
  return {
    get spec() {
      return spec
    },
    get target() {
      return routed
    },
    get waiting() {
      return waiting.size
    },
    put: (next) => {
      spec = next
      converge()
    },
    remove,
    close: () => {
      closing = true
      return remove(spec.generation)
    },
    onceChanged: (callback) => {
      const once = (): void => {
        waiting.delete(once)
        callback()
      }
      waiting.add(once)
      return () => waiting.delete(once)
    },
    observations: () => [
      ...[...leaving.keys(), ...releases.values()].map(observedOf),
      ...(route === null ? [] : [route])
    ]
  }
}

const isHealthy = (release: Release): boolean => release.observed.state === "healthy"
