import { readFile } from "node:fs/promises"

/**
 * Those of the processes that are gVisor's kernel: while it stands still, no program in it gets anywhere.
 * The others must not be stopped: of what they wait for in the host's kernel, gVisor expects that no signal
 * interrupts it twice, and ends the program else (pkg/sentry/platform/systrap/syscall_thread.go).
 */
export const kernelOf = async (pids: ReadonlyArray<number>): Promise<ReadonlyArray<number>> => {
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""))
  )
  return pids.filter((_, index) => lines[index]?.startsWith("runsc-sandbox\0"))
}
