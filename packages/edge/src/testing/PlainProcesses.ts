/** A double of the supervisor: plain child processes without any fence, quick to be healthy. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { get } from "node:http"
import { createServer } from "node:net"
import { dirname } from "node:path"
import { createInterface } from "node:readline"
import type {
  Dial,
  Processes,
  ProcessRequest,
  ProcessState,
  RunEnd,
  RunningJob,
  RunRequest,
  WorkerRequest
} from "../process/Processes.ts"

export interface PlainProcesses extends Processes {
  /** Pids that were started and are still there. */
  readonly alive: () => ReadonlyArray<number>
  /** Pids of those that are workers. */
  readonly working: () => ReadonlyArray<number>
}

/** `dial`: how they are to be connected to. */
export const makePlainProcesses = (dial?: Dial): PlainProcesses => {
  const children = new Set<ChildProcess>()
  const workers = new Set<ChildProcess>()

  /** Starts it again at once whenever it ends. */
  const startWorker = ({ onLine, variables, workload }: WorkerRequest) => {
    const stopping = new AbortController()
    let child: ChildProcess | null = null
    const live = async (): Promise<void> => {
      while (!stopping.signal.aborted) {
        const mine = spawnIn(workload, variables)
        const ended = once(mine, "exit")
        child = mine
        children.add(mine)
        workers.add(mine)
        readOutput(mine, onLine)
        await ended
        children.delete(mine)
        workers.delete(mine)
      }
    }
    const life = live()
    return {
      stop: async (graceMs: number) => {
        if (stopping.signal.aborted) return await life
        stopping.abort()
        child?.kill("SIGTERM")
        const kill = setTimeout(() => child?.kill("SIGKILL"), graceMs)
        await life
        clearTimeout(kill)
      }
    }
  }

  const startRun = ({ limitMs, onLine, variables, workload }: RunRequest): RunningJob => {
    const mine = spawnIn(workload, variables)
    let outcome: RunEnd["outcome"] | null = null
    const end = (why: RunEnd["outcome"]) => {
      outcome ??= why
      mine.kill("SIGKILL")
    }
    const late = setTimeout(() => end("timed_out"), limitMs)
    children.add(mine)
    readOutput(mine, onLine)
    const ended = once(mine, "exit").then((): RunEnd => {
      clearTimeout(late)
      children.delete(mine)
      const code = mine.exitCode
      return { outcome: outcome ?? (code === 0 ? "succeeded" : "failed"), code, cause: "" }
    })
    return {
      launched: Promise.resolve(),
      ended,
      stop: async () => {
        end("interrupted")
        await ended
      }
    }
  }

  const start = (request: ProcessRequest) => {
    let state: ProcessState = { state: "starting", restarts: 0, endpoint: null, failure: null }
    let child: ChildProcess | null = null
    let stopping = false
    const become = (next: Partial<ProcessState>) => {
      state = { ...state, ...next }
      request.onState(state)
    }
    const run = async (): Promise<void> => {
      const listens = request.workload.listens ?? true
      const port = await freePort()
      if (stopping) return
      const given = listens ? { PORT: String(port) } : {}
      child = spawnIn(request.workload, { ...given, ...request.variables })
      const mine = child
      children.add(mine)
      readOutput(mine, request.onLine)
      let over = false
      const ended = once(mine, "exit").then(() => {
        over = true
        children.delete(mine)
      })
      const began = Date.now()
      while (
        listens &&
        !over &&
        !stopping &&
        !(await answers(port, request.workload.healthPath ?? "/"))
      ) {
        if (Date.now() - began > request.workload.startTimeout) {
          mine.kill("SIGKILL")
          await ended
          return fail("no_port", "it did not listen")
        }
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      if (over && !stopping) return fail("exited", `it exited with ${mine.exitCode}`)
      if (stopping) return
      const endpoint = { host: "127.0.0.1", port, ...(dial ? { dial } : {}) }
      become({ state: "healthy", endpoint: listens ? endpoint : null })
      await ended
      if (stopping) return
      become({ state: "starting", endpoint: null, restarts: state.restarts + 1 })
      await run()
    }
    const fail = (code: "exited" | "no_port", cause: string) =>
      become({
        state: "failed",
        endpoint: null,
        failure: { code, cause, evidence: [], port: null }
      })
    queueMicrotask(() => void run())
    return {
      get state() {
        return state
      },
      freeze: async () => (child?.kill("SIGSTOP") ? 1 : null),
      thaw: async () => void child?.kill("SIGCONT"),
      stop: async (graceMs: number) => {
        if (stopping) return
        stopping = true
        if (child !== null && children.has(child)) {
          const ended = once(child, "exit")
          const kill = setTimeout(() => child?.kill("SIGKILL"), graceMs)
          child.kill("SIGTERM")
          child.kill("SIGCONT")
          await ended
          clearTimeout(kill)
        }
        if (state.state !== "failed") become({ state: "stopped", endpoint: null })
      }
    }
  }

  return {
    isolation: {
      level: "plain",
      network: false,
      limits: { memory: false, cpu: false, pids: false },
      notes: ["a double for tests"]
    },
    start,
    startWorker,
    startRun,
    alive: () => pidsOf(children),
    working: () => pidsOf(workers),
    close: async () => {
      for (const child of children) child.kill("SIGKILL")
      await Promise.all([...children].map((child) => once(child, "exit")))
    }
  }
}

const spawnIn = (
  { directory, start }: ProcessRequest["workload"],
  variables: Readonly<Record<string, string>>
): ChildProcess =>
  spawn("/bin/sh", ["-c", `exec ${start}`], {
    cwd: directory,
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, ...variables }
  })

const readOutput = (child: ChildProcess, onLine: ProcessRequest["onLine"]): void => {
  for (const stream of ["stdout", "stderr"] as const) {
    const readable = child[stream]
    if (readable !== null) createInterface(readable).on("line", (line) => onLine(stream, line))
  }
}

const pidsOf = (children: Iterable<ChildProcess>): ReadonlyArray<number> =>
  [...children].flatMap(({ pid }) => (pid === undefined ? [] : [pid]))

const answers = (port: number, path: string): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const outgoing = get({ host: "127.0.0.1", port, path, agent: false }, (incoming) => {
    incoming.resume()
    resolve((incoming.statusCode ?? 500) < 500)
  })
  outgoing.on("error", () => resolve(false))
  return promise
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  return typeof address === "object" && address !== null ? address.port : 0
}
