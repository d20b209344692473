/** The machine that the numbers come from, and what processes cost on it. */
import { readFileSync } from "node:fs"
import { availableParallelism, cpus, loadavg, release } from "node:os"

/** Above this the machine does other things besides, and the numbers are upper bounds. */
export const busy = 1.5

export const load = (): number => Math.round((loadavg()[0] ?? 0) * 100) / 100

export const machine = () => ({
  cores: availableParallelism(),
  processor: cpus()[0]?.model ?? "unknown",
  kernel: release(),
  node: process.version,
  load: load()
})

/** Milliseconds of processor time since its start: the process itself, and its ended children. */
export const cpuOf = (pid: number): { readonly own: number; readonly children: number } => {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8")
  // The name in brackets may contain anything.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number)
  const ticks = (index: number) => (fields[index] ?? 0) * msOfTick
  return { own: ticks(11) + ticks(12), children: ticks(13) + ticks(14) }
}

/** Linux shows times in hundredths of a second to all programs. */
const msOfTick = 10

export const rssOf = (pid: number): number => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1]) / 1024
}
