/** The life of one worker: started, started again whenever it ends, stopped. Nobody waits for it. */
import { setTimeout as pause } from "node:timers/promises"
import { type Backoff, countEnds, makeBreaker } from "@deploy-mcp/domain/node/Backoff"
import { explainExit } from "@deploy-mcp/domain/node/ExplainExit"
import type { ProcessFailure } from "@deploy-mcp/domain/node/NodeProtocol"
import { keepLines } from "./KeptLines.ts"
import { endGently, isLaunched, type Launch, notLaunched } from "./Launch.ts"
import type { RunningWorker, WorkerRequest } from "./Processes.ts"
import { makeStop, type Stop } from "./Stop.ts"
import { howToResume } from "./Supervise.ts"

export const superviseWorker = (
  request: WorkerRequest,
  launch: Launch,
  backoff: Backoff
): RunningWorker => {
  const stop = makeStop()
  const say = (text: string): void => request.onLine("platform", text)
  const live = async (): Promise<void> => {
    const restart = countEnds(backoff)
    const oneTooMany = makeBreaker(backoff)
    for (;;) {
      const end = await runOnce(request, launch, stop)
      if (end === null) return
      const breaking = oneTooMany(end.failure, performance.now())
      if (breaking !== null) return say(`${breaking.cause} ${howToResume}`)
      const { failure, pauseMs } = restart(end.failure, end.upMs)
      say(`${failure.cause} Starting again in ${pauseMs} ms.`)
      if (failure.code === "crash_loop") say("The service goes on answering without it.")
      await pause(pauseMs, undefined, { signal: stop.signal }).catch(() => {})
    }
  }
  // The caller holds nothing yet when the first line would come.
  const life = Promise.resolve().then(live)
  return {
    stop: (graceMs) => {
      stop.request(graceMs)
      return life
    }
  }
}

interface End {
  readonly failure: ProcessFailure
  readonly upMs: number
}

/** Resolves when nothing of this run is left. Null: it was stopped. */
const runOnce = async (request: WorkerRequest, launch: Launch, stop: Stop): Promise<End | null> => {
  if (stop.signal.aborted) return null
  const { tenant, variables, workload } = request
  const { lines, onLine } = keepLines(request.onLine)
  const run = await launch({ tenant, variables, workload, onLine, listens: false }).catch(
    (error: unknown) => error
  )
  if (!isLaunched(run)) return { failure: notLaunched(run), upMs: 0 }
  request.onLine("platform", "Started.")
  const since = performance.now()
  const exit = await Promise.race([run.exited, stop.requested])
  if (exit === null || stop.signal.aborted) {
    await endGently(run, stop.graceMs())
    request.onLine("platform", "Stopped.")
    return null
  }
  const upMs = performance.now() - since
  await run.remove()
  return { failure: explainExit(exit, run, workload, lines), upMs }
}
