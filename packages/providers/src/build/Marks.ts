/** Processes of a build are marked, so that one that left its group is found again. */
import { entries, read } from "./KernelFiles.ts"

/**
 * Names a step's processes, so that one that left its group is found again, and one whose platform
 * was killed: bubblewrap ties itself to its parent late, and an orphan of its first milliseconds stays.
 */
export const mark = "DEPLOY_MCP_BUILD"

/** Kills every process that was started as part of the step `name`; repeats until none is left. */
export const killMarked = (name: string): void => {
  for (let round = 0; round < 20; round++) {
    const found = marked(name)
    if (found.length === 0) return
    found.forEach(killOne)
  }
}

const marked = (name: string): ReadonlyArray<number> => {
  const wanted = `${mark}=${name}`
  return entries("/proc")
    .filter((entry) => /^\d+$/u.test(entry))
    .filter((pid) => environmentOf(pid).split("\0").includes(wanted))
    .map(Number)
}

// A zombie reads as empty, so a killed process is not found again.
const environmentOf = (pid: string): string => read(`/proc/${pid}/environ`)

export const killOne = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // Gone already.
  }
}
