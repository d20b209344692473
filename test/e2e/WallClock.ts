/** The clock on the wall of processes that are under way, set as an operator or a bad time server sets it. */
import { existsSync, globSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** Debian's package libfaketime; undefined: it is not installed here. */
const [library] = globSync("/usr/lib/*/faketime/libfaketimeMT.so.1")

export const hasWallClock = library !== undefined

export interface WallClock {
  /** For processes that are to go by it. Their timers and monotonic clocks stay the machine's own. */
  readonly env: Readonly<Record<string, string>>
  /** Sets it for all of them at once, to so many seconds before or after the machine's. */
  readonly set: (seconds: number) => void
  /** A program for Node.js that becomes `program`, with this clock. */
  readonly around: (program: string) => string
  /** Takes away the memory that processes shared by it and left behind when they were killed. */
  readonly clear: () => void
}

/** `folder` can be read by all those processes; the clock is right until it is set. */
export const wallClockIn = (folder: string): WallClock => {
  const file = join(folder, "wall-clock")
  const set = (seconds: number) => {
    // A process that reads it meanwhile finds the one or the other.
    writeFileSync(`${file}.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`)
    renameSync(`${file}.new`, file)
  }
  set(0)
  const env = {
    LD_PRELOAD: library ?? "",
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1"
  }
  return {
    env,
    set,
    clear: () => {
      for (const shared of globSync("/dev/shm/{faketime_shm_,sem.faketime_sem_}*")) {
        const pid = shared.slice(shared.lastIndexOf("_") + 1)
        if (!existsSync(`/proc/${pid}`)) rmSync(shared, { force: true })
      }
    },
    around: (program) => {
      const wrapper = join(folder, "with-wall-clock.mjs")
      const args = "[process.execPath, ...process.execArgv, program]"
      writeFileSync(
        wrapper,
        `const program = ${JSON.stringify(program)}
process.execve(process.execPath, ${args}, { ...process.env, ...${JSON.stringify(env)} })
`
      )
      return wrapper
    }
  }
}
