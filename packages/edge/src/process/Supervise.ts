/** The life of one release's process: start, become healthy, be started again, stop. */
import { setTimeout as pause } from "node:timers/promises"
import { type Backoff, countEnds, makeBreaker } from "@deploy-mcp/domain/node/Backoff"
import { evidenceLines, explainExit, takenPort } from "@deploy-mcp/domain/node/ExplainExit"
import type { ProcessFailure } from "@deploy-mcp/domain/node/NodeProtocol"
import { awaitHealthy } from "./AwaitHealthy.ts"
import { awaitSteady } from "./AwaitSteady.ts"
import { keepLines } from "./KeptLines.ts"
import {
  endGently,
  isLaunched,
  type Launch,
  type Launched,
  notLaunched,
  notStarted
} from "./Launch.ts"
import type { Endpoint, ProcessRequest, ProcessState, RunningProcess } from "./Processes.ts"
import { makeStop, type Stop } from "./Stop.ts"

/** A port that was free when it was chosen can be taken before the service comes to it. */
const portAttempts = 3

export const supervise = (
  request: ProcessRequest,
  launch: Launch,
  backoff: Backoff
): RunningProcess => {
  let state: ProcessState = { state: "starting", restarts: 0, endpoint: null, failure: null }
  let healthy: Launched | null = null
  const stop = makeStop()

  const publish = (change: Partial<ProcessState>) => {
    state = { ...state, ...change }
    const now = state
    queueMicrotask(() => request.onState(now))
  }
  const live = async () => {
    let everHealthy = false
    const restart = countEnds(backoff)
    const oneTooMany = makeBreaker(backoff)
    let paused = false
    for (;;) {
      let pauseMs = backoff.first
      const ended = (end: End) => {
        healthy = null
        const breaking = oneTooMany(end.failure, performance.now())
        if (breaking !== null) {
          paused = true
          publish({ state: "failed", endpoint: null, failure: breaking })
          return request.onLine("platform", `${breaking.cause} ${howToResume}`)
        }
        const again = restart(end.failure, end.healthyMs)
        const { failure } = again
        pauseMs = again.pauseMs
        publish({ state: "starting", restarts: state.restarts + 1, endpoint: null, failure })
        request.onLine("platform", `${failure.cause} Starting again in ${pauseMs} ms.`)
      }
      const end = await runOnce(request, launch, stop, {
        onHealthy: (endpoint, run) => {
          everHealthy = true
          healthy = run
          publish({ state: "healthy", endpoint, failure: null })
        },
        onDown: ended
      })
      healthy = null
      if (stop.signal.aborted) return publish({ state: "stopped", endpoint: null })
      if (!everHealthy) return publish({ state: "failed", failure: end.failure })
      if (!end.told) ended(end)
      if (paused) return
      await pause(pauseMs, undefined, { signal: stop.signal }).catch(() => {})
      if (stop.signal.aborted) return publish({ state: "stopped" })
    }
  }
  // The caller holds nothing yet when the first line or state would come.
  const life = Promise.resolve().then(live)
  return {
    get state() {
      return state
    },
    freeze: async () => (await healthy?.freeze()) ?? null,
    thaw: async () => await healthy?.thaw(),
    usage: async () => (await healthy?.usage()) ?? null,
    stop: (graceMs) => {
      stop.request(graceMs)
      return life
    }
  }
}

/** Also of a worker beside a service. */
export const howToResume =
  "It is paused. To resume: push a correction, or call redeploy_service or rollback_service."

interface End {
  readonly failure: ProcessFailure
  /** How long it was healthy. */
  readonly healthyMs: number
  /** `onDown` was called with it. */
  readonly told: boolean
}

interface Listeners {
  /** Null: it has no port. */
  readonly onHealthy: (endpoint: Endpoint | null, run: Launched) => void
  /** Comes as soon as a healthy one has ended: visitors must not be sent there while it is cleared. */
  readonly onDown: (end: End) => void
}

/** Resolves when nothing of this run is left. */
const runOnce = async (
  request: ProcessRequest,
  launch: Launch,
  stop: Stop,
  listeners: Listeners,
  attempt = 1
): Promise<End> => {
  const { tenant, variables, workload } = request
  const { listens = true } = workload
  const { lines, onLine } = keepLines(request.onLine)
  const stopped: End = { failure: notStarted("It was stopped."), healthyMs: 0, told: false }
  if (stop.signal.aborted) return stopped
  const run = await launch({ tenant, variables, workload, onLine, listens }).catch(
    (error: unknown) => error
  )
  if (!isLaunched(run)) return { failure: notLaunched(run), healthyMs: 0, told: false }

  const ended = run.exited.then((exit) => explainExit(exit, run, workload, lines))
  const watching = new AbortController()
  const outcome = await Promise.race([
    listens ? awaitHealthy(run, workload, watching.signal) : awaitSteady(workload, watching.signal),
    ended,
    stop.requested
  ])
  watching.abort()
  if (outcome === null || stop.signal.aborted) {
    await endGently(run, stop.graceMs())
    return stopped
  }
  if ("code" in outcome || outcome.failure) {
    await run.remove()
    const failure = "code" in outcome ? outcome : withOutput(outcome.failure, run, lines)
    const unlucky = failure.code === "fixed_port" && failure.port === run.port
    if (unlucky && workload.port === null && attempt < portAttempts) {
      return runOnce(request, launch, stop, listeners, attempt + 1)
    }
    return { failure, healthyMs: 0, told: false }
  }
  const since = performance.now()
  listeners.onHealthy(outcome.endpoint, run)
  const failure = await Promise.race([ended, stop.requested])
  if (!failure || stop.signal.aborted) {
    await endGently(run, stop.graceMs())
    return stopped
  }
  const end = { failure, healthyMs: performance.now() - since, told: true }
  listeners.onDown(end)
  await run.remove()
  return end
}

/** What it printed explains best why it does not listen. */
const withOutput = (
  failure: ProcessFailure,
  run: Launched,
  lines: ReadonlyArray<string>
): ProcessFailure => {
  const evidence = failure.evidence.length > 0 ? failure.evidence : lines.slice(-evidenceLines)
  const taken = run.ownNetwork ? null : takenPort(lines.join("\n"))
  if (taken === null || failure.code === "unhealthy") return { ...failure, evidence }
  const port = taken === 0 ? null : taken
  const cause = `Port ${port ?? "it wants"} is taken by another process.`
  return { code: "fixed_port", cause, evidence, port }
}
