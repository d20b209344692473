/**
 * The processes of a release that have no port. They run while the release is the one that is
 * routed to, and a stage never has those of two releases at once: the old ones are stopped first,
 * then the new ones are started. So no job is taken by two versions of a program; what comes in
 * between waits in its queue, for as long as the old ones take to end.
 */
import { reasonOf } from "./Log.ts"
import type { Processes, ProcessRequest, RunningWorker } from "./process/Processes.ts"

export interface Workers {
  /** Does nothing when they run already. */
  readonly start: () => void
  /** SIGTERM, `graceMs`, SIGKILL; resolves when nothing of them is left. */
  readonly stop: (graceMs: number) => Promise<void>
}

export type WorkersRequest = Pick<ProcessRequest, "tenant" | "workload" | "variables"> & {
  readonly onLine: (stream: "stdout" | "stderr" | "platform", text: string, process: string) => void
}

export const noWorkers: Workers = { start: () => {}, stop: async () => {} }

/** Each runs with the release's variables and limits, and is restarted by itself. */
export const makeWorkers = (request: WorkersRequest, processes: Processes): Workers => {
  const { tenant, variables, workload } = request
  const running = new Map<string, RunningWorker>()
  const startOne = (name: string, start: string): void => {
    const onLine: ProcessRequest["onLine"] = (stream, text) => request.onLine(stream, text, name)
    try {
      const worker = { tenant, variables, workload: { ...workload, start }, onLine }
      running.set(name, processes.startWorker(worker))
    } catch (error) {
      onLine("platform", `It could not be started: ${reasonOf(error)}.`)
    }
  }
  return {
    start: () => {
      for (const [name, start] of Object.entries(workload.workers ?? {})) {
        if (!running.has(name)) startOne(name, start)
      }
    },
    stop: async (graceMs) => {
      const stopping = [...running]
      await Promise.all(stopping.map(([, worker]) => worker.stop(graceMs)))
      for (const [name, worker] of stopping) {
        if (running.get(name) === worker) running.delete(name)
      }
    }
  }
}

/** Which release of a stage works. */
export interface Shift {
  /** From now on these work and no others. The last call counts. */
  readonly give: (workers: Workers, graceMs: number) => void
}

export const makeShift = (): Shift => {
  let wanted = noWorkers
  let working = noWorkers
  let changing = false
  const change = async (graceMs: number): Promise<void> => {
    changing = true
    while (working !== wanted) {
      await working.stop(graceMs)
      working = wanted
      working.start()
    }
    changing = false
  }
  return {
    give: (workers, graceMs) => {
      wanted = workers
      if (!changing) void change(graceMs)
    }
  }
}
