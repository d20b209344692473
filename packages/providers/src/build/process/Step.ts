/** Runs one command line of a tenant to its end, its time limit or our interruption. */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process"
import { openSync } from "node:fs"
import type { Readable, Writable } from "node:stream"
import { Effect } from "effect"
import { entries, read } from "../KernelFiles.ts"
import { killMarked, killOne, mark } from "../Marks.ts"
import type { Launch } from "./Sandbox.ts"

export interface StepEnd {
  /** Null when a signal ended it, or when it could not be started. */
  readonly code: number | null
  readonly signal: string | null
}

/**
 * When it returns, fails or is interrupted, no process of the step is left. `onOutput` is called
 * with text as it arrives, not cut into lines.
 */
export const runStep = (
  launch: Launch,
  name: string,
  onOutput: (stream: "stdout" | "stderr", text: string) => void
): Effect.Effect<StepEnd> =>
  Effect.callback<StepEnd>((resume) => {
    const sandboxed = launch.options !== undefined
    const child = spawn(launch.file, [...launch.args], {
      cwd: launch.cwd,
      env: { ...launch.env, [mark]: name },
      detached: true,
      stdio: descriptors(sandboxed ? 5 : 3),
      ...(launch.user === undefined ? {} : { uid: launch.user, gid: launch.user })
    })
    const killSandbox = sandboxed ? sandboxKill(child, launch.options ?? "") : null
    const kill = () => (killSandbox === null ? killGroup(child, name) : killSandbox())
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]?.setEncoding("utf8").on("data", (text: string) => onOutput(stream, text))
    }
    // What a step left behind may still hold its output open.
    child.on("exit", () => sandboxed || killGroup(child, name))
    const closed = new Promise<StepEnd>((resolve) => {
      child.on("close", (code, signal) => resolve({ code, signal }))
      child.on("error", () => child.pid ?? resolve({ code: null, signal: null }))
    })
    closed.then((end) => resume(Effect.succeed(end)))
    return Effect.promise(() => {
      kill()
      return closed
    })
  })

/**
 * Nothing for input, pipes for the rest. What the platform itself was started with can still be
 * open above that and would be inherited, so it is covered with an empty file.
 */
const descriptors = (own: number): StdioOptions => {
  const plan: Array<"ignore" | "pipe" | number> = ["ignore"]
  for (let n = 1; n < own; n++) plan.push("pipe")
  for (const leak of leaks().filter((n) => n >= own)) {
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
const sandboxKill = (child: ChildProcess, options: string): (() => void) => {
  const [, , , input, info] = child.stdio as [null, Readable, Readable, Writable, Readable]
  let text = ""
  let wanted = false
  const kill = () => {
    const pid = /"child-pid":\s*(\d+)/u.exec(text)?.[1]
    if (wanted && pid !== undefined && child.exitCode === null) killOne(Number(pid))
  }
  // It is gone already when bubblewrap refuses its options.
  input.on("error", () => {}).end(options)
  info.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk
    kill()
  })
  return () => {
    wanted = true
    kill()
  }
}

const killGroup = (child: ChildProcess, name: string): void => {
  if (child.pid !== undefined) killOne(-child.pid)
  killMarked(name)
}
