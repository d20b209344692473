/** Runs one command line of a tenant to its end, its time limit or our interruption. */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process"
import { openSync } from "node:fs"
import { Server } from "node:net"
import { Duplex } from "node:stream"
import { Effect } from "effect"
import { entries, read } from "../KernelFiles.ts"
import { killMarked, killOne, mark } from "../Marks.ts"
import type { Launch, SandboxInput } from "./Sandbox.ts"

export interface StepEnd {
  /** Null when a signal ended it, or when it could not be started. */
  readonly code: number | null
  readonly signal: string | null
}

export interface StepWatch {
  /** Text as it arrives, not cut into lines. */
  readonly output: (stream: "stdout" | "stderr", text: string) => void
  /** In a sandbox: its first process is there, and nothing of the tenant's runs before this is over. */
  readonly started?: (pid: number) => Promise<void>
  /** In a sandbox with a way out: it begins here. */
  readonly way?: (listener: Server) => void
}

/**
 * When it returns, fails or is interrupted, no process of the step is left. A step whose `started`
 * fails is ended.
 */
export const runStep = (launch: Launch, name: string, watch: StepWatch): Effect.Effect<StepEnd> =>
  Effect.callback<StepEnd>((resume) => {
    const { sandbox } = launch
    const child = spawn(launch.file, [...launch.args], {
      cwd: launch.cwd,
      env: { ...launch.env, [mark]: name },
      detached: true,
      stdio: descriptors(sandbox ? (sandbox.hasWay ? [...asked, "ipc"] : asked) : plainly),
      ...(launch.user === undefined ? {} : { uid: launch.user, gid: launch.user })
    })
    const kill = sandbox ? openSandbox(child, sandbox, watch) : () => killGroup(child, name)
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]?.setEncoding("utf8").on("data", (text: string) => watch.output(stream, text))
    }
    // What a step left behind may still hold its output open.
    child.on("exit", () => sandbox || killGroup(child, name))
    // `close` never comes for a child whose channel is closed from here.
    const outputs = [child.stdout, child.stderr].map(
      (stream) => new Promise<void>((done) => (stream === null ? done() : stream.on("close", done)))
    )
    const closed = new Promise<StepEnd>((resolve) => {
      child.on("exit", (code, signal) => Promise.all(outputs).then(() => resolve({ code, signal })))
      child.on("error", () => child.pid ?? resolve({ code: null, signal: null }))
    })
    closed.then((end) => resume(Effect.succeed(end)))
    return Effect.promise(() => {
      kill()
      return closed
    })
  })

type Kind = "ignore" | "pipe" | "ipc"
const plainly: ReadonlyArray<Kind> = ["ignore", "pipe", "pipe"]
/** With what `Sandbox.ts` tells bubblewrap to use. */
const asked: ReadonlyArray<Kind> = [...plainly, "pipe", "pipe", "pipe", "pipe"]

/**
 * Nothing for input, pipes for output. What the platform itself was started with can still be
 * open above that and would be inherited, so it is covered with an empty file.
 */
const descriptors = (own: ReadonlyArray<Kind>): StdioOptions => {
  const plan: Array<Kind | number> = [...own]
  for (const leak of leaks().filter((n) => n >= own.length)) {
    while (plan.length < leak) plan.push("ignore")
    plan.push(nothing())
  }
  return plan
}

const once = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

const nothing = once(() => openSync("/dev/null", "r+"))

/** Node.js marks what it opens itself, so only what it inherited is left. */
const leaks = once(() =>
  entries("/proc/self/fdinfo")
    .map(Number)
    .filter((n) => n > 2 && /^flags:\s*(\d+)/mu.test(fdinfo(n)) && !isMarked(fdinfo(n)))
    .sort((a, b) => a - b)
)
const isMarked = (info: string) =>
  (Number.parseInt(/^flags:\s*(\d+)/mu.exec(info)?.[1] ?? "0", 8) & closeOnExec) !== 0
const closeOnExec = 0o2000000
const fdinfo = (n: number) => read(`/proc/self/fdinfo/${n}`)

/**
 * Hands over the options and answers with how to end the sandbox: by its first process, whose end is
 * everyone's; bubblewrap itself then waits until they are gone. Killing bubblewrap instead can leave
 * that first process behind, waiting for ever, when it has only just been made.
 */
const openSandbox = (
  child: ChildProcess,
  { options, filter }: SandboxInput,
  { started, way }: StepWatch
): (() => void) => {
  const [input, info, block, calls] = child.stdio.slice(3).filter((one) => one instanceof Duplex)
  let text = ""
  let first: number | null = null
  let wanted = false
  const kill = () => {
    if (wanted && first !== null && child.exitCode === null) killOne(first)
  }
  const end = () => {
    wanted = true
    kill()
  }
  const send = (to: Duplex | undefined, what: string | Uint8Array) =>
    // It is gone already when bubblewrap refuses its options.
    to
      ?.on("error", () => {})
      .resume()
      .end(what)
  // One message, and nobody listens any more.
  child.once("message", (_, listener) => {
    if (child.connected) child.disconnect()
    if (listener instanceof Server) way?.(listener)
  })
  send(input, options)
  send(calls, filter ?? "")
  info?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk
    const pid = /"child-pid":\s*(\d+)/u.exec(text)?.[1]
    if (first !== null || pid === undefined) return
    first = Number(pid)
    kill()
    Promise.resolve(started?.(first)).then(() => send(block, "go"), end)
  })
  return end
}

const killGroup = (child: ChildProcess, name: string): void => {
  if (child.pid !== undefined) killOne(-child.pid)
  killMarked(name)
}
