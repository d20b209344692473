/** Runs processes as another does, and knows of each stage how often they started and what they use. */
import type { Meters } from "./Meters.ts"
import type { Processes, RunningProcess, Usage } from "./process/Processes.ts"

export interface MeteredProcesses extends Processes {
  /** Of all processes that the stage has now; `cpu` also of those that it had. */
  readonly usage: (stage: string) => Promise<StageUsage>
  readonly forget: (stage: string) => void
}

export interface StageUsage {
  /** Bytes; null: nothing runs, or nobody can tell. */
  readonly memory: number | null
  /** Seconds. */
  readonly cpu: number
}

interface Stage {
  readonly running: Map<RunningProcess, Usage>
  /** Seconds of processes that are gone. */
  past: number
}

export const meterProcesses = (processes: Processes, meters: Meters): MeteredProcesses => {
  const stages = new Map<string, Stage>()
  const of = (stage: string): Stage => {
    const held = stages.get(stage)
    if (held !== undefined) return held
    const made: Stage = { running: new Map(), past: 0 }
    stages.set(stage, made)
    return made
  }

  const start: Processes["start"] = (request) => {
    const stage = of(request.stage)
    const meter = meters.of(request.stage)
    let restarts = 0
    const one = processes.start({
      ...request,
      onState: (state) => {
        meter.restarts += state.restarts - restarts
        meter.starts += state.restarts - restarts
        restarts = state.restarts
        if (state.state === "failed" || state.state === "stopped") {
          stage.past += stage.running.get(one)?.cpu ?? 0
          stage.running.delete(one)
        }
        request.onState(state)
      }
    })
    meter.starts += 1
    stage.running.set(one, { memory: 0, cpu: 0 })
    return one
  }

  const usage = async (id: string): Promise<StageUsage> => {
    const stage = stages.get(id)
    if (stage === undefined) return { memory: null, cpu: 0 }
    let memory: number | null = null
    await Promise.all(
      [...stage.running].map(async ([one, before]) => {
        const now = (await one.usage?.()) ?? null
        if (now === null) return
        memory = (memory ?? 0) + now.memory
        // A process that was started again counts from zero.
        if (now.cpu < before.cpu) stage.past += before.cpu
        if (stage.running.has(one)) stage.running.set(one, now)
      })
    )
    const cpu = [...stage.running.values()].reduce((sum, one) => sum + one.cpu, stage.past)
    return { memory, cpu }
  }

  return {
    ...processes,
    start,
    usage,
    forget: (stage) => void stages.delete(stage)
  }
}
