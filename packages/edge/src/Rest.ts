/**
 * What a stage's last release leaves behind if it could sleep: its process, which stands still, so that
 * going back to it is a matter of a moment. One for each stage; its memory counts among the sleepers'.
 */
import { isDeepStrictEqual } from "node:util"
import { askHealth } from "./process/AskHealth.ts"
import type {
  Processes,
  ProcessRequest,
  ProcessState,
  RunningProcess
} from "./process/Processes.ts"
import type { Sleepers } from "./Sleepers.ts"

/** Who is told what becomes of a process, and what it prints. */
export type Ears = Pick<ProcessRequest, "onLine" | "onState">

/** A process that can be handed on to another release. */
export interface HeldProcess {
  readonly request: Omit<ProcessRequest, keyof Ears>
  readonly running: RunningProcess
  /** Nobody else is told from now on. */
  readonly hear: (ears: Ears) => void
}

export const startHeld = (
  processes: Processes,
  request: HeldProcess["request"],
  first: Ears
): HeldProcess => {
  let ears = first
  const running = processes.start({
    ...request,
    onState: (state) => ears.onState(state),
    onLine: (...line) => ears.onLine(...line)
  })
  return {
    request,
    running,
    hear: (next) => {
      ears = next
    }
  }
}

export interface Rest {
  /** Lets it stand still in the place of what rested before. False: it can't, and is somebody's to stop. */
  readonly keep: (process: HeldProcess) => Promise<boolean>
  /** What rests goes on, and answers; null: nothing rests that was started with just this. */
  readonly take: (run: Run) => Promise<HeldProcess | null>
  /** Keeps nothing from now on; resolves when nothing rests any more. */
  readonly close: () => Promise<void>
}

/** `graceMs`: between SIGTERM and SIGKILL for what need not rest any longer. */
export const makeRest = (sleepers: Sleepers, graceMs: () => number): Rest => {
  let resting: HeldProcess | null = null
  let closed = false
  const ending = new Set<Promise<void>>()
  /** One thing after the other: what is being frozen can't go on yet. */
  let work: Promise<unknown> = Promise.resolve()
  const next = <A>(step: () => Promise<A>): Promise<A> => {
    const done = work.then(step)
    work = done.catch(() => {})
    return done
  }

  const takeOut = (): HeldProcess | null => {
    const taken = resting
    resting = null
    if (taken !== null) sleepers.drop(taken.request.release)
    return taken
  }
  const end = (process: HeldProcess | null): void => {
    if (process === null) return
    const ended = process.running.stop(graceMs()).finally(() => ending.delete(ended))
    ending.add(ended)
  }
  const endResting = (process: HeldProcess): void => {
    if (resting === process) end(takeOut())
  }

  const keep = async (process: HeldProcess): Promise<boolean> => {
    const bytes = closed ? null : await process.running.freeze().catch(() => null)
    if (bytes === null || closed || !isHealthy(process.running.state)) return false
    end(takeOut())
    resting = process
    process.hear({
      onLine: () => {},
      onState: (state) => {
        if (!isHealthy(state)) endResting(process)
      }
    })
    const { release } = process.request
    sleepers.hold({ release, bytes, usedAt: performance.now(), stop: () => endResting(process) })
    return true
  }

  return {
    keep: (process) => next(() => keep(process)),
    take: (run) =>
      next(async () => {
        if (resting === null || !runsTheSame(resting.request, run)) return null
        const process = takeOut()
        if (process === null || (await goesOn(process))) return process
        end(process)
        return null
      }),
    close: async () => {
      closed = true
      await work
      end(takeOut())
      await Promise.all(ending)
    }
  }
}

/** What was killed while it stood still ends only now. */
const goesOn = async ({ request, running }: HeldProcess): Promise<boolean> => {
  await running.thaw().catch(() => {})
  const { endpoint } = running.state
  if (endpoint === null) return false
  const { signal } = new AbortController()
  const { healthy } = await askHealth(
    endpoint,
    request.workload,
    performance.now() + patienceMs,
    signal
  )
  return healthy && isHealthy(running.state)
}

/** A start would not take much longer. */
const patienceMs = 1_000

const isHealthy = ({ state }: ProcessState): boolean => state === "healthy"

type Run = Pick<ProcessRequest, "workload" | "variables">

/** The box of the variables is another one each time they are sealed: what is in it counts. */
const runsTheSame = (one: Run, other: Run): boolean =>
  isDeepStrictEqual(one.variables, other.variables) &&
  isDeepStrictEqual({ ...one.workload, variables: null }, { ...other.workload, variables: null })
