/**
 * One release: a folder that is served, or a process or an address behind a connection pool. It
 * knows who is still being answered by it, so that it can leave without cutting anybody off.
 */
import { redactor } from "@deploy-mcp/domain/model/LogLine"
import type {
  ProcessFailure,
  ProcessWorkload,
  ReleaseObserved,
  ReleaseSpec,
  RunSchedule,
  StageSpec,
  StaticWorkload
} from "@deploy-mcp/domain/node/NodeProtocol"
import { openWith } from "@deploy-mcp/domain/node/SealedBox"
import { Schema } from "effect"
import type { FileCache } from "./FileCache.ts"
import { firstState, startFailed } from "./FirstState.ts"
import { reasonOf } from "./Log.ts"
import type { NodeKey } from "./NodeKey.ts"
import type { Processes, ProcessState } from "./process/Processes.ts"
import { type Ears, type HeldProcess, type Rest, startHeld } from "./Rest.ts"
import { makeSleep, maySleep, neverSleeps, type Sleep } from "./Sleep.ts"
import type { Sleepers } from "./Sleepers.ts"
import type { StartQueue } from "./StartQueue.ts"
import { makeStaticFiles, type StaticFiles } from "./StaticFiles.ts"
import type { Job } from "./Timetable.ts"
import { abandon, leadsTo, openUpstream, type Upstream } from "./Upstream.ts"
import type { Variants } from "./Variants.ts"
import { makeWorkers, noWorkers, type Workers } from "./Workers.ts"

export interface Release {
  readonly spec: ReleaseSpec
  readonly observed: ReleaseObserved
  /** It was able to answer at least once. */
  readonly everHealthy: boolean
  readonly files: StaticFiles | null
  /** Null while it sleeps or can't answer. */
  readonly upstream: Upstream | null
  /** Somebody waits for it: it is to answer soon if it sleeps. */
  readonly wake: () => void
  /** Null: it is not on a schedule, or not in place yet. Whoever holds the route says when it runs. */
  readonly job: Job | null
  /** Known once it was healthy. Whoever holds the route says when they run. */
  readonly workers: Workers
  /** The same release may be listed with another address: new requests go there. Calls nobody back. */
  readonly relist: (spec: ReleaseSpec) => void
  /** Counts a request or tunnel as being answered until the returned function is called. */
  readonly enter: (abort: () => void) => () => void
  /** Starts a failed process again, from the beginning. */
  readonly retry: () => void
  /** Waits for those being answered, at most `drainMs`, then rests or stops with `graceMs`. Once only. */
  readonly retire: (drainMs: number, graceMs: number) => Promise<void>
  /** Takes a retirement back; false when it is too late. */
  readonly revive: () => boolean
}

export interface ReleaseOptions {
  readonly spec: ReleaseSpec
  readonly stage: Pick<StageSpec, "stage" | "tenant">
  readonly processes: Processes
  readonly nodeKey: NodeKey
  readonly starts: StartQueue
  readonly sleepers: Sleepers
  readonly rest: Rest
  readonly fileCache: FileCache
  readonly variants: Variants
  /** Start before others that wait: a route leads to it. */
  readonly urgent: boolean
  readonly onChange: () => void
  /** `process`: the name of a worker. */
  readonly onLine: (
    stream: "stdout" | "stderr" | "platform",
    text: string,
    process?: string
  ) => void
}

export const startRelease = (options: ReleaseOptions): Release => {
  const { processes, spec, stage, starts } = options
  const answering = new Set<() => void>()
  let state = firstState(spec.workload)
  let everHealthy = false
  let files: StaticFiles | null = null
  let upstream: Upstream | null = null
  let held: HeldProcess | null = null
  let workers = noWorkers
  let job: Job | null = null
  let retries = 0
  /** Which of its runs is the present one: what a stopped one says is not told. */
  let run = 0
  let phase: "serving" | "draining" | "stopping" | "stopped" = "serving"
  let onIdle: (() => void) | null = null
  const isOver = (): boolean => phase === "stopping" || phase === "stopped"

  const adopt = (next: ProcessState): void => {
    if (next.state === "healthy") everHealthy = true
    const { endpoint } = next
    const isThere = next.state === "healthy" && endpoint !== null && sleep.depth === null
    // A pooled connection to a process that is gone would fail the request that takes it.
    if (upstream !== null && !(isThere && leadsTo(upstream, endpoint))) {
      abandon(upstream)
      upstream = null
    }
    if (isThere) upstream ??= openUpstream(endpoint)
    state = next
  }
  const become = (next: ProcessState): void => {
    sleep.disturbed()
    adopt(next)
    options.onChange()
  }
  const fail = (cause: string): void =>
    become({ ...state, state: "failed", endpoint: null, failure: startFailed(cause) })

  const beginStatic = async ({ root, spa = false }: StaticWorkload): Promise<void> => {
    const { fileCache: cache, variants } = options
    try {
      files = await makeStaticFiles({ root, spa, cache, variants })
      become({ ...state, state: "healthy" })
    } catch (error) {
      fail(`the folder of the release can't be read: ${reasonOf(error)}`)
    }
  }

  /** Null: they can't be, or nobody needs them any more. */
  const openVariables = async ({ variables }: ProcessWorkload) => {
    try {
      const opened =
        variables === null
          ? {}
          : decodeVariables(JSON.parse(await openWith(options.nodeKey, variables)))
      return isOver() ? null : opened
    } catch {
      fail("the variables are not sealed to the key of this node")
      return null
    }
  }

  const beginScheduled = async (workload: ProcessWorkload, schedule: RunSchedule) => {
    const variables = await openVariables(workload)
    if (variables === null) return
    const redact = redactor(Object.values(variables))
    const request = {
      tenant: stage.tenant,
      workload,
      variables,
      limitMs: schedule.limit,
      onLine: (stream: "stdout" | "stderr" | "platform", text: string) =>
        options.onLine(stream, redact(text))
    }
    const start = () => processes.startRun(request)
    job = { release: spec.release, schedule, start }
    become({ ...state, state: "healthy" })
  }

  const beginProcess = async (workload: ProcessWorkload): Promise<void> => {
    const variables = await openVariables(workload)
    if (variables === null) return
    const rested = await options.rest.take({ workload, variables })
    if (isOver()) return await rested?.running.stop(asleepGraceMs)
    run += 1
    const own = run
    const { promise: settled, resolve } = Promise.withResolvers<void>()
    const redact = redactor(Object.values(variables))
    const onLine: ReleaseOptions["onLine"] = (stream, text, process) =>
      options.onLine(stream, redact(text), process)
    workers = makeWorkers({ tenant: stage.tenant, workload, variables, onLine }, processes)
    const ears: Ears = {
      onLine,
      onState: (next) => {
        if (next.state !== "starting") resolve()
        if (own === run) become({ ...next, failure: redactedFailure(next.failure, redact) })
      }
    }
    if (rested !== null) return goOn(rested, ears)
    const request = {
      stage: stage.stage,
      release: spec.release,
      tenant: stage.tenant,
      workload,
      variables
    }
    try {
      held = startHeld(processes, request, ears)
    } catch (error) {
      return fail(reasonOf(error))
    }
    // A candidate that never answers may not hold its place in the queue until it times out.
    const giveUp = setTimeout(resolve, placeMs)
    await settled
    clearTimeout(giveUp)
  }

  const goOn = (rested: HeldProcess, ears: Ears): void => {
    const { state: now } = rested.running
    held = rested
    // How often it was started again for another release is not ours to tell.
    retries -= now.restarts
    rested.hear(ears)
    ears.onLine("platform", "Goes on where an earlier release stood still; nothing is started.")
    ears.onState(now)
  }

  const begin = (): void => {
    const { workload } = spec
    if (workload.kind === "static") void beginStatic(workload)
    if (workload.kind !== "process") return
    if (workload.schedule !== undefined) void beginScheduled(workload, workload.schedule)
    else starts.add(() => beginProcess(workload), options.urgent)
  }

  /** What could sleep rests: somebody may go back to it. */
  const leaveProcess = async (graceMs: number): Promise<void> => {
    if (held === null) return
    const mayRest = maySleep(spec.workload) && answering.size === 0
    if (!mayRest || !(await options.rest.keep(held))) await held.running.stop(graceMs)
  }

  const stopAsleep = async (): Promise<void> => {
    const stopping = held?.running
    run += 1
    held = null
    retries += state.restarts
    state = { ...state, restarts: 0, endpoint: null }
    await stopping?.stop(asleepGraceMs)
  }
  const sleepFor = (workload: ProcessWorkload, idleAfter: number): Sleep =>
    makeSleep({
      release: spec.release,
      idleAfter,
      sleepers: options.sleepers,
      isIdle: () => phase === "serving" && answering.size === 0 && state.state === "healthy",
      close: () => adopt(state),
      freeze: async () => (await held?.running.freeze()) ?? null,
      thaw: async () => await held?.running.thaw(),
      stop: stopAsleep,
      start: () => starts.add(() => beginProcess(workload), true),
      onChange: (words) => {
        adopt(state)
        options.onLine("platform", words)
        options.onChange()
      }
    })
  const sleep = maySleep(spec.workload)
    ? sleepFor(spec.workload, spec.workload.idleAfter)
    : neverSleeps
  if (sleep.depth === null) {
    adopt(state)
    begin()
  } else adopt({ ...state, state: "healthy" })

  return {
    spec,
    get observed(): ReleaseObserved {
      return {
        type: "release",
        stage: stage.stage,
        release: spec.release,
        state: phase === "stopped" ? "stopped" : state.state,
        restarts: state.restarts + retries,
        port: state.endpoint?.port ?? null,
        ...(sleep.depth === null || phase === "stopped" ? {} : { asleep: sleep.depth }),
        failure: state.failure
      }
    },
    get everHealthy() {
      return everHealthy
    },
    get files() {
      return files
    },
    get upstream() {
      return upstream
    },
    wake: sleep.wake,
    get job() {
      return job
    },
    get workers() {
      return workers
    },
    relist: ({ workload }) => {
      if (workload.kind === "endpoint") adopt(firstState(workload))
    },
    enter: (abort) => {
      answering.add(abort)
      return () => {
        if (!answering.delete(abort) || answering.size > 0) return
        sleep.used()
        onIdle?.()
      }
    },
    retry: () => {
      if (phase !== "serving" || state.state !== "failed") return
      retries += 1
      state = { ...state, state: "starting", failure: null }
      begin()
      options.onChange()
    },
    retire: async (drainMs, graceMs) => {
      phase = "draining"
      if (answering.size > 0)
        await idleWithin(drainMs, (resolve) => {
          onIdle = resolve
        })
      onIdle = null
      if (phase !== "draining") return
      phase = "stopping"
      await sleep.leave()
      await Promise.all([leaveProcess(graceMs), workers.stop(graceMs)])
      for (const abort of answering) abort()
      upstream?.agent.destroy()
      upstream = null
      phase = "stopped"
      options.onChange()
    },
    revive: () => {
      if (isOver()) return false
      phase = "serving"
      sleep.used()
      onIdle?.()
      return true
    }
  }
}

/** Milliseconds between SIGTERM and SIGKILL for one that sleeps: the next request may wait for it. */
const asleepGraceMs = 2_000

/** How long a start may hold its place in the queue. */
const placeMs = 5_000

const idleWithin = (ms: number, onIdle: (resolve: () => void) => void): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const deadline = setTimeout(resolve, ms)
  onIdle(resolve)
  return promise.finally(() => clearTimeout(deadline))
}

/** Evidence is what the process printed, so it goes through the same sieve as its log. */
const redactedFailure = (
  failure: ProcessFailure | null,
  redact: (text: string) => string
): ProcessFailure | null =>
  failure === null
    ? null
    : { ...failure, cause: redact(failure.cause), evidence: failure.evidence.map(redact) }

const decodeVariables = Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.String))
