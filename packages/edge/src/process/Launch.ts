/** One run of a service, from its start to its last process, however this machine starts it. */
import type { ChildProcess } from "node:child_process"
import type { Writable } from "node:stream"
import { setTimeout as pause } from "node:timers/promises"
import type { Exit } from "@deploy-mcp/domain/node/ExplainExit"
import type { ProcessFailure, ProcessWorkload } from "@deploy-mcp/domain/node/NodeProtocol"
import type { Dial, Usage } from "./Processes.ts"
import { serviceProcesses, signalProcess } from "./ProcessTree.ts"

export interface LaunchRequest {
  readonly tenant: number
  readonly workload: ProcessWorkload
  readonly variables: Readonly<Record<string, string>>
  /** False: it is given no PORT. */
  readonly listens: boolean
  readonly onLine: (stream: "stdout" | "stderr" | "platform", text: string) => void
}

export interface Launched {
  /** On the host: the outermost process of it. */
  readonly pid: number
  /** Where its ports are reached. */
  readonly host: string
  /** No port there is anybody else's. */
  readonly ownNetwork: boolean
  /** Its network can't be entered but by this. */
  readonly dial?: Dial
  /** What PORT says; null: there is none. */
  readonly port: number | null
  /** When it has ended and all that it printed was read. */
  readonly exited: Promise<Exit>
  /** Lets all that belongs to it stand still; answers with the bytes of memory that it keeps. */
  readonly freeze: () => Promise<number>
  readonly thaw: () => Promise<void>
  readonly usage: () => Promise<Usage>
  /** Thaws it, then SIGTERM to the service itself. False: nobody is there to hear it. */
  readonly terminate: () => Promise<boolean>
  /** Kills what still runs; resolves when nothing is left. May be called twice. */
  readonly remove: () => Promise<void>
}

/** May reject with a `LaunchError`: nothing was started and nothing is left. */
export type Launch = (request: LaunchRequest) => Promise<Launched>

/** Told to people: says what was asked for that can't be had. */
export class LaunchError extends Error {
  readonly code: ProcessFailure["code"]
  constructor(message: string, code: ProcessFailure["code"] = "start_failed") {
    super(message)
    this.code = code
  }
}

/** `settle` is called when the outermost process is gone, and kills what it left behind. */
export const watchExit = (
  child: ChildProcess,
  settle: () => Promise<Pick<Exit, "outOfMemory" | "started">>
): Promise<Exit> =>
  new Promise((resolve) => {
    const closed = new Promise<void>((done) => child.once("close", () => done()))
    const ended = async (code: number | null, signal: NodeJS.Signals | null) => {
      const more = await settle()
      // A process that left the group can hold its output open for ever.
      await Promise.race([closed, pause(1000)])
      resolve({ code, signal, ...more })
    }
    if (child.exitCode !== null || child.signalCode !== null) {
      void ended(child.exitCode, child.signalCode)
    } else child.once("exit", (code, signal) => void ended(code, signal))
  })

/** Hands a program all that it is to read at one of its descriptors. False: it is gone. */
export const feed = (
  child: ChildProcess,
  descriptor: number,
  content: string | Uint8Array
): boolean => {
  const input = child.stdio[descriptor]
  if (!isWritable(input) || child.exitCode !== null || child.signalCode !== null) return false
  input.on("error", () => {})
  input.end(content)
  return true
}

const isWritable = (stream: unknown): stream is Writable =>
  typeof stream === "object" && stream !== null && "write" in stream && "end" in stream

export const terminateService = async (service: number | undefined): Promise<boolean> => {
  if (service === undefined) return false
  const heard = await serviceProcesses(service)
  for (const pid of heard) signalProcess(pid, "SIGTERM")
  return heard.length > 0
}

export const isLaunched = (value: unknown): value is Launched =>
  typeof value === "object" && value !== null && "exited" in value

/** SIGTERM, some time, then SIGKILL for whatever is left. */
export const endGently = async (run: Launched, graceMs: number): Promise<void> => {
  if (graceMs > 0 && (await run.terminate())) {
    const over = new AbortController()
    await Promise.race([
      run.exited,
      pause(graceMs, undefined, { signal: over.signal }).catch(() => {})
    ])
    over.abort()
  }
  await run.remove()
}

/** Why a `Launch` rejected. */
export const notLaunched = (error: unknown): ProcessFailure => ({
  ...notStarted(reason(error)),
  ...(error instanceof LaunchError ? { code: error.code } : {})
})

export const notStarted = (cause: string): ProcessFailure => ({
  code: "start_failed",
  cause,
  evidence: [],
  port: null
})

const reason = (error: unknown): string => {
  if (error instanceof LaunchError) return error.message
  const words = error instanceof Error ? error.message : String(error)
  return `The node could not prepare a place for it: ${words}.`
}
