/** Whether gVisor works on this machine, and how: it is run once as for a service, and tells. */
import { readFile, realpath } from "node:fs/promises"
import { join } from "node:path"
import { findProgram, type ProgramResult, runProgram } from "../Program.ts"
import { serviceHome } from "../SlotFiles.ts"
import { hasNoCapability, lastWords, readOnlyIn } from "../TrySandbox.ts"
import { type Gvisor, gvisorArguments, gvisorCommand, platforms, specOf } from "./Gvisor.ts"

/** One of the two. */
export interface TriedGvisor {
  readonly gvisor: Gvisor | null
  /** Why it can't be used, as the end of a sentence. */
  readonly problem: string | null
}

/** `files` holds `etc/`. */
export const tryGvisor = async (bwrap: string, files: string): Promise<TriedGvisor> => {
  const found = await findProgram("runsc")
  if (found === null) return { gvisor: null, problem: "its program runsc is not on PATH" }
  const program = await realpath(found)
  const { stdout } = await runProgram(program, ["--version"])
  const version = /version (\S+)/.exec(stdout)?.[1] ?? "of an unknown version"
  const problems: Array<string> = []
  for (const platform of platforms) {
    const problem = await problemOf(await run(bwrap, files, program, platform))
    if (problem === null) return { gvisor: { program, platform, version }, problem }
    problems.push(`${platform}: ${problem}`)
  }
  return {
    gvisor: null,
    problem: `${program} does not run a program here (${problems.join("; ")})`
  }
}

/** Many processes: there are builds of gVisor that run one and break at the twentieth. */
const look = `cat /proc/version
for each in $(seq 40); do echo "$each" | cat; done >/dev/null
exec cat /proc/self/status /proc/self/mountinfo`

const run = async (
  bwrap: string,
  files: string,
  program: string,
  platform: string
): Promise<ProgramResult> => {
  const etc = join(files, "etc")
  const variables = { PATH: "/usr/bin:/bin" }
  const contents = { app: etc, etc, toolchain: [], variables, home: serviceHome, memory: 1 }
  const args = await gvisorArguments(contents, program, 0)
  return runProgram(
    bwrap,
    [...args, "--", ...gvisorCommand(platform)],
    specOf(contents, ["/bin/sh", "-c", look]),
    trialMs
  )
}

/** It takes a second; on a machine that has just been started, several. */
const trialMs = 30_000

/** What is wrong with a sandbox in which `look` came to this; null: nothing. */
export const problemOf = async (result: ProgramResult): Promise<string | null> => {
  if (result.code !== 0) return lastWords(result) || `it ended with code ${result.code}`
  const [kernel, ...lines] = result.stdout.split("\n")
  const host = (await readFile("/proc/version", "utf8")).trim()
  if (!kernel || kernel === host) return "a program in it sees the host's kernel"
  if (!hasNoCapability(lines)) return "a program in it holds capabilities"
  const missing = readOnlyPlaces.filter((place) => !readOnlyIn(lines, place))
  return missing.length === 0 ? null : `a program in it can write to ${missing.join(", ")}`
}

export const readOnlyPlaces = ["/", "/proc", "/sys"]
