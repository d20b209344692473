/** Simulated lives from many seeds, one after the other in this process or on all cores in others. */
import { availableParallelism } from "node:os"
import type { Violation } from "@deploy-mcp/domain/chaos/Invariant"
import { run } from "./Children.ts"
import { live } from "./Life.ts"

export interface Lives {
  readonly seeds: number
  readonly deployments: number
  readonly crashes: number
  /** Seeds that broke an invariant. */
  readonly broken: number
  readonly cpuSeconds: number
}

const nothing: Lives = { seeds: 0, deployments: 0, crashes: 0, broken: 0, cpuSeconds: 0 }

const together = (one: Lives, other: Lives): Lives => ({
  seeds: one.seeds + other.seeds,
  deployments: one.deployments + other.deployments,
  crashes: one.crashes + other.crashes,
  broken: one.broken + other.broken,
  cpuSeconds: one.cpuSeconds + other.cpuSeconds
})

/** `untilBroken`: no further seed once one has broken. */
export const liveAll = async (
  from: number,
  count: number,
  untilBroken: boolean
): Promise<Lives> => {
  let all = nothing
  for (let seed = from; seed < from + count; seed += 1) {
    const began = process.cpuUsage()
    const { crashes, deployments, violations } = await live(`${seed}`)
    const { system, user } = process.cpuUsage(began)
    const broken = violations.length > 0 ? 1 : 0
    const cpuSeconds = (system + user) / 1e6
    all = together(all, { seeds: 1, deployments, crashes, broken, cpuSeconds })
    tellBroken(`seed ${seed}`, violations)
    if (untilBroken && broken > 0) break
  }
  return all
}

export const tellBroken = (where: string, violations: ReadonlyArray<Violation>) => {
  for (const { detail, invariant } of violations) {
    console.log(`${where} breaks ${invariant}: ${detail}`)
  }
}

/** Seeds that a process takes at a time. */
const portion = 250

/** `script` is run for each portion, and prints what `told` is told as its last line. */
export const liveOnAllCores = async (
  script: string,
  from: number,
  count: number,
  told: (soFar: Lives) => void
): Promise<Lives> => {
  let [all, next] = [nothing, from]
  if (count <= portion) {
    all = await liveAll(from, count, false)
    told(all)
    return all
  }
  const worker = async () => {
    while (next < from + count) {
      const [first, size] = [next, Math.min(portion, from + count - next)]
      next += size
      const some = await liveElsewhere(script, first, size)
      all = together(all, some)
      told(all)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return all
}

const liveElsewhere = async (script: string, from: number, count: number): Promise<Lives> => {
  const { output } = await run([script, "--seeds", `${count}`, "--from", `${from}`])
  const lines = output.trimEnd().split("\n")
  const last = lines.pop() ?? ""
  for (const line of lines) console.log(line)
  if (!last.startsWith("{")) throw new Error(`the seeds from ${from} did not end: ${last}`)
  return JSON.parse(last)
}
