/** What processes use of the machine, as `/proc` says. */
import { readFile } from "node:fs/promises"

/** What the kernel counts in, in one second: the same on every architecture. */
const ticksPerSecond = 100

/** Seconds of cpu of these processes and of their children that have ended. */
export const cpuSeconds = async (pids: ReadonlyArray<number>): Promise<number> => {
  const texts = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""))
  )
  return texts.reduce((sum, text) => sum + ticksOf(text), 0) / ticksPerSecond
}

/** utime, stime, cutime and cstime of proc_pid_stat(5), after a name that may hold anything. */
const ticksOf = (text: string): number =>
  text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 15)
    .reduce((sum, ticks) => sum + Number(ticks), 0)
