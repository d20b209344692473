/** One run of a program that is to end by itself, and is stopped when its time is over. */
import { setTimeout as pause } from "node:timers/promises"
import { explainExit } from "@deploy-mcp/domain/node/ExplainExit"
import { keepLines } from "./KeptLines.ts"
import { endGently, isLaunched, type Launch, notLaunched } from "./Launch.ts"
import type { RunEnd, RunningJob, RunRequest } from "./Processes.ts"
import { makeStop, type Stop } from "./Stop.ts"

/** What it gets to end by itself when its time is over, in milliseconds. */
const lateGraceMs = 10_000

export const runToEnd = (request: RunRequest, launch: Launch): RunningJob => {
  const stop = makeStop()
  const launched = Promise.withResolvers<void>()
  // The caller holds nothing yet when the first line would come.
  const ended = Promise.resolve()
    .then(() => runOnce(request, launch, stop, launched.resolve))
    .finally(launched.resolve)
  return {
    launched: launched.promise,
    ended,
    stop: async (graceMs) => {
      stop.request(graceMs)
      await ended
    }
  }
}

/** Resolves when nothing of it is left. */
const runOnce = async (
  request: RunRequest,
  launch: Launch,
  stop: Stop,
  onLaunched: () => void
): Promise<RunEnd> => {
  if (stop.signal.aborted) return interrupted
  const { limitMs, tenant, variables, workload } = request
  const { lines, onLine } = keepLines(request.onLine)
  const run = await launch({ tenant, variables, workload, onLine, listens: false }).catch(
    (error: unknown) => error
  )
  if (!isLaunched(run)) return { outcome: "failed", code: null, cause: notLaunched(run).cause }
  onLaunched()
  const over = new AbortController()
  const exit = await Promise.race([
    run.exited,
    stop.requested,
    pause(limitMs, "late" as const, { signal: over.signal }).catch(() => null)
  ])
  over.abort()
  if (exit === null || exit === "late") {
    await endGently(run, exit === null ? stop.graceMs() : lateGraceMs)
    return exit === null ? interrupted : { outcome: "timed_out", code: null, cause: "" }
  }
  await run.remove()
  if (exit.code === 0) return { outcome: "succeeded", code: 0, cause: "" }
  return {
    outcome: "failed",
    code: exit.code,
    cause: explainExit(exit, run, workload, lines).cause
  }
}

const interrupted: RunEnd = { outcome: "interrupted", code: null, cause: "" }
