/** A double of the supervisor: plain child processes without any fence, quick to be healthy. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { get } from "node:http"
import { createServer } from "node:net"
import { dirname } from "node:path"
import { createInterface } from "node:readline"
import type { Processes, ProcessRequest, ProcessState } from "../process/Processes.ts"

export interface PlainProcesses extends Processes {
  /** Pids that were started and are still there. */
  readonly alive: () => ReadonlyArray<number>
}

export const makePlainProcesses = (): PlainProcesses => {
  const children = new Set<ChildProcess>()

  const start = (request: ProcessRequest) => {
    let state: ProcessState = { state: "starting", restarts: 0, endpoint: null, failure: null }
    let child: ChildProcess | null = null
    let stopping = false
    const become = (next: Partial<ProcessState>) => {
      state = { ...state, ...next }
      request.onState(state)
    }
    const run = async (): Promise<void> => {
      const port = await freePort()
      if (stopping) return
      child = spawn("/bin/sh", ["-c", `exec ${request.workload.start}`], {
        cwd: request.workload.directory,
        env: {
          PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
          PORT: String(port),
          ...request.variables
        }
      })
      const mine = child
      children.add(mine)
      for (const stream of ["stdout", "stderr"] as const) {
        const readable = mine[stream]
        if (readable !== null) {
          createInterface(readable).on("line", (line) => request.onLine(stream, line))
        }
      }
      let over = false
      const ended = once(mine, "exit").then(() => {
        over = true
        children.delete(mine)
      })
      const began = Date.now()
      while (!over && !stopping && !(await answers(port, request.workload.healthPath ?? "/"))) {
        if (Date.now() - began > request.workload.startTimeout) {
          mine.kill("SIGKILL")
          await ended
          return fail("no_port", "it did not listen")
        }
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      if (over && !stopping) return fail("exited", `it exited with ${mine.exitCode}`)
      if (stopping) return
      become({ state: "healthy", endpoint: { host: "127.0.0.1", port } })
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
      stop: async (graceMs: number) => {
        if (stopping) return
        stopping = true
        if (child !== null && children.has(child)) {
          const ended = once(child, "exit")
          const kill = setTimeout(() => child?.kill("SIGKILL"), graceMs)
          child.kill("SIGTERM")
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
    alive: () => [...children].flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
    close: async () => {
      for (const child of children) child.kill("SIGKILL")
      await Promise.all([...children].map((child) => once(child, "exit")))
    }
  }
}

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
