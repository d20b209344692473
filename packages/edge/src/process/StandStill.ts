/**
 * Lets processes stand still where no control group can: SIGSTOP for each, which none can refuse.
 * A stopped process hears SIGKILL, but no SIGTERM until it goes on.
 */
import { readFile } from "node:fs/promises"
import { setTimeout as pause } from "node:timers/promises"
import { processStatus, signalProcess } from "./ProcessTree.ts"

export interface StandStill {
  readonly freeze: () => Promise<void>
  readonly thaw: () => Promise<void>
}

/** `list` says what belongs to the service now. */
export const standStill = (list: () => Promise<ReadonlyArray<number>>): StandStill => {
  const stopped = new Map<number, string>()

  /** Signals those that are new in the list; true when all of it stands still. */
  const stopAll = async (): Promise<boolean> => {
    let still = true
    for (const pid of await list()) {
      const status = await processStatus(pid)
      if (status === null || /[TtZX]/.test(status.state)) continue
      still = false
      if (stopped.has(pid)) continue
      stopped.set(pid, status.startTime)
      signalProcess(pid, "SIGSTOP")
    }
    return still
  }
  return {
    freeze: async () => {
      // Again: what it started meanwhile is new, and one that waits for a disk stops after that.
      for (let round = 0; round < 50 && !(await stopAll()); round++) await pause(1)
    },
    thaw: async () => {
      const all = [...stopped]
      stopped.clear()
      for (const [pid, startTime] of all) {
        if ((await processStatus(pid))?.startTime === startTime) signalProcess(pid, "SIGCONT")
      }
    }
  }
}

/** Bytes that these processes hold in memory; pages that two of them share are counted twice. */
export const residentMemory = (pids: ReadonlyArray<number>): Promise<number> =>
  sumOf(pids, "status", /^VmRSS:\s+(\d+)/m)

/** Each page once, which takes the kernel longer to tell. */
export const proportionalMemory = (pids: ReadonlyArray<number>): Promise<number> =>
  sumOf(pids, "smaps_rollup", /^Pss:\s+(\d+)/m)

const sumOf = async (pids: ReadonlyArray<number>, file: string, kibibytes: RegExp) => {
  const texts = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => ""))
  )
  return texts.reduce((sum, text) => sum + 1024 * Number(kibibytes.exec(text)?.[1] ?? 0), 0)
}
