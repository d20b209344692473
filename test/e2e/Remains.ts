/** What of a platform is left on this machine outside its home: after a stop, nothing. */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** One line for each thing; empty when nothing is left. */
export const remainsOf = (home: string): ReadonlyArray<string> => {
  const id = sha256(home).slice(0, 8)
  const prefix = `deploy-mcp-${id}-`
  return [
    ...named("/run/netns", prefix),
    ...named("/sys/class/net", `dm${sha256(id).slice(0, 6)}-`),
    ...mountPoints().flatMap((point) => named(point, prefix)),
    ...named(tmpdir(), `deploy-mcp-work-${id}-`),
    ...lines("/proc/self/mounts").filter((line) => line.includes(home)),
    ...processesOf(home).map(({ pid, command }) => `process ${pid}: ${command}`)
  ]
}

export interface RunningProcess {
  readonly pid: number
  readonly command: string
}

/** Every process that works in this home, was told of it, or was started as a service of it. */
export const processesOf = (home: string): ReadonlyArray<RunningProcess> => {
  const marks = [home, `DEPLOY_MCP_PROCESS=${sha256(home).slice(0, 8)}`]
  return processes(({ pid, command }) => {
    const texts = [command, environmentOf(pid), workingDirectoryOf(pid)]
    return texts.some((text) => marks.some((mark) => text.includes(mark)))
  })
}

/** Processes that have this text in their environment. */
export const processesWith = (mark: string): ReadonlyArray<RunningProcess> =>
  processes(({ pid }) => environmentOf(pid).includes(mark))

/** A process that nobody has waited for yet is as good as gone. */
export const isAlive = (pid: number): boolean => {
  const stat = read(`/proc/${pid}/stat`)
  return stat !== "" && !/\) [ZX] /u.test(stat)
}

const processes = (wanted: (process: RunningProcess) => boolean): ReadonlyArray<RunningProcess> =>
  entries("/proc")
    .flatMap((name) => (/^\d+$/u.test(name) ? [Number(name)] : []))
    .filter((pid) => pid !== process.pid && isAlive(pid))
    .map((pid) => ({ pid, command: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim() }))
    .filter(wanted)

const environmentOf = (pid: number): string => read(`/proc/${pid}/environ`)

const workingDirectoryOf = (pid: number): string => {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ""
  }
}

const mountPoints = (): ReadonlyArray<string> =>
  lines("/proc/self/mounts").flatMap((line) => {
    const [, point = "", type] = line.split(" ")
    return type === "cgroup" || type === "cgroup2" ? [point] : []
  })

const named = (folder: string, prefix: string): ReadonlyArray<string> =>
  entries(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(folder, name))

const lines = (file: string): ReadonlyArray<string> => read(file).split("\n")

const entries = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const read = (file: string): string => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")
