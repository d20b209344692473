/** For tests: an edge's process host with a home of its own, and services to run in it. */
import { randomBytes } from "node:crypto"
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises"
import { get } from "node:http"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { Backoff } from "@deploy-mcp/domain/node/Backoff"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import type { ProcessWorkload } from "@deploy-mcp/domain/node/NodeProtocol"
import type { SandboxChoice } from "@deploy-mcp/domain/node/SandboxChoice"
import { findControlGroups } from "./ControlGroup.ts"
import { wayTo } from "./DialAgent.ts"
import { makeProcesses } from "./MakeProcesses.ts"
import { linkPrefix } from "./Network.ts"
import type {
  Endpoint,
  Processes,
  ProcessState,
  RunningProcess,
  RunningWorker
} from "./Processes.ts"

export interface TestEdge {
  readonly home: string
  readonly homeId: string
  readonly processes: Processes
  /** Runs `source` as `server.js`; `files` are written beside it. */
  readonly run: (source: string, options?: RunOptions) => Promise<TestRun>
  /** The same as a worker. */
  readonly work: (source: string, options?: RunOptions) => Promise<TestWorker>
  readonly close: () => Promise<void>
}

export interface TestWorker {
  readonly worker: RunningWorker
  readonly lines: ReadonlyArray<string>
  /** Waits for a line that fits; an error when it never comes. */
  readonly line: (fits: RegExp) => Promise<string>
}

export interface RunOptions {
  readonly workload?: Partial<ProcessWorkload>
  readonly variables?: Record<string, string>
  readonly files?: Record<string, string>
  readonly tenant?: number
}

export interface TestRun {
  readonly directory: string
  readonly process: RunningProcess
  readonly states: ReadonlyArray<ProcessState>
  readonly lines: ReadonlyArray<string>
  /** Waits for a state; an error when it never comes. */
  readonly until: (matches: (state: ProcessState) => boolean) => Promise<ProcessState>
  readonly healthy: () => Promise<Endpoint>
  readonly failed: () => Promise<NonNullable<ProcessState["failure"]>>
}

export interface TestEdgeOptions {
  /** Without these programs on PATH. */
  readonly without?: ReadonlyArray<string>
  /** Programs in this folder come before the others. */
  readonly programs?: string
  readonly backoff?: Backoff
  readonly home?: string
  readonly homeId?: string
  readonly egress?: EgressPolicy
  readonly sandbox?: SandboxChoice
}

export const openTestEdge = async (options: TestEdgeOptions = {}): Promise<TestEdge> => {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), "edge-home-")))
  const homeId = options.homeId ?? randomBytes(4).toString("hex")
  const path = await pathWithout(home, options.without ?? [], options.programs)
  const before = process.env.PATH
  if (path !== null) process.env.PATH = path
  const egress = options.egress ?? { reach: "none", allow: [] }
  const settings = { home, homeId, egress, sandbox: options.sandbox ?? "auto" }
  const processes = await makeProcesses(settings, options.backoff).finally(() => {
    process.env.PATH = before
  })
  const run: TestEdge["run"] = async (source, more = {}) => {
    const directory = await writeArtifact(join(home, "artifacts"), source, more.files ?? {})
    return observe(processes, directory, more)
  }
  const work: TestEdge["work"] = async (source, more = {}) => {
    const directory = await writeArtifact(join(home, "artifacts"), source, more.files ?? {})
    return observeWorker(processes, directory, more)
  }
  return {
    home,
    homeId,
    processes,
    run,
    work,
    close: async () => {
      await processes.close()
      if (options.home === undefined) await rm(home, { recursive: true, force: true })
    }
  }
}

const writeArtifact = async (
  parent: string,
  source: string,
  files: Record<string, string>
): Promise<string> => {
  await mkdir(parent, { recursive: true })
  const directory = await mkdtemp(join(parent, "a-"))
  for (const [name, text] of Object.entries({ "server.js": source, ...files })) {
    await writeFile(join(directory, name), text)
    await chmod(join(directory, name), 0o644)
  }
  await chmod(directory, 0o755)
  return directory
}

const observe = (processes: Processes, directory: string, options: RunOptions): TestRun => {
  const states: Array<ProcessState> = []
  const lines: Array<string> = []
  const started = processes.start({
    stage: "stg_test",
    release: "rel_test",
    tenant: options.tenant ?? 0,
    variables: options.variables ?? {},
    workload: workloadIn(directory, options),
    onState: (state) => states.push(state),
    onLine: (stream, text) => lines.push(`${stream}: ${text}`)
  })
  const until: TestRun["until"] = async (matches) => {
    const found = await eventually(async () => states.find(matches) ?? null).catch(() => null)
    if (found) return found
    throw new Error(`never so: ${JSON.stringify(states)}\n${lines.join("\n")}`)
  }
  return {
    directory,
    process: started,
    states,
    lines,
    until,
    healthy: async () => {
      const state = await until(({ state }) => state === "healthy" || state === "failed")
      if (state.endpoint) return state.endpoint
      throw new Error(`not healthy: ${JSON.stringify(state.failure)}\n${lines.join("\n")}`)
    },
    failed: async () => {
      const { failure } = await until(({ state }) => state === "failed" || state === "healthy")
      if (failure) return failure
      throw new Error(`did not fail: ${JSON.stringify(states)}`)
    }
  }
}

const observeWorker = (
  processes: Processes,
  directory: string,
  options: RunOptions
): TestWorker => {
  const lines: Array<string> = []
  const worker = processes.startWorker({
    tenant: options.tenant ?? 0,
    variables: options.variables ?? {},
    workload: workloadIn(directory, options),
    onLine: (stream, text) => lines.push(`${stream}: ${text}`)
  })
  return {
    worker,
    lines,
    line: async (fits) => {
      const found = await eventually(
        async () => lines.find((line) => fits.test(line)) ?? null
      ).catch(() => null)
      if (found !== null) return found
      throw new Error(`${fits} never came\n${lines.join("\n")}`)
    }
  }
}

const workloadIn = (directory: string, { workload }: RunOptions): ProcessWorkload => ({
  kind: "process",
  directory,
  start: "node server.js",
  path: [dirname(process.execPath)],
  variables: null,
  port: null,
  healthPath: null,
  memory: 256,
  cpu: 2,
  startTimeout: 20_000,
  ...workload
})

/** Whatever of a home still exists outside of it: namespaces, links, groups, directories. */
export const leftovers = async (homeId: string): Promise<ReadonlyArray<string>> => {
  const groups = await findControlGroups()
  const places = ["/run/netns", "/sys/class/net", tmpdir(), ...(groups?.roots.values() ?? [])]
  const found = await Promise.all(
    places.map(async (place) => {
      const names = await readdir(place).catch(() => [])
      return names
        .filter((name) => name.includes(homeId) || name.startsWith(linkPrefix(homeId)))
        .map((name) => join(place, name))
    })
  )
  return found.flat()
}

/** Polls until there is a value. */
export const eventually = async <A>(read: () => Promise<A | null>, ms = 25_000): Promise<A> => {
  for (const deadline = Date.now() + ms; Date.now() < deadline; ) {
    const value = await read()
    if (value !== null) return value
    await pause(10)
  }
  throw new Error("it did not happen in time")
}

export const fetchText = (endpoint: Endpoint, path = "/"): Promise<string> =>
  new Promise((resolve, reject) => {
    get({ ...wayTo(endpoint), path }, (answer) => {
      let text = ""
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
      })
      answer.once("end", () => resolve(text))
    }).once("error", reject)
  })

/** A directory for PATH that lacks some programs. Null: PATH is good as it is. */
const pathWithout = async (
  home: string,
  names: ReadonlyArray<string>,
  first?: string
): Promise<string | null> => {
  if (names.length === 0) return null
  const directory = await mkdtemp(join(home, "path-"))
  for (const parent of ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]) {
    for (const name of await readdir(parent).catch(() => [])) {
      if (names.includes(name)) continue
      await symlink(join(parent, name), join(directory, name)).catch(() => {})
    }
  }
  return first === undefined ? directory : `${first}:${directory}`
}
