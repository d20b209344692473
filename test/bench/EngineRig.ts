/**
 * How a benchmark drives a workflow engine in a process of its own: a line with a number and a width
 * in, and a line of JSON out when so many workflows have run, `width` of them at a time.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { createInterface } from "node:readline"

/** Each step answers with its number and does nothing else: what is left is the engine. */
export const steps = [1, 2, 3, 4, 5] as const

export interface Round {
  readonly ms: number
  /** Milliseconds of processor time of the engine's process, the database's not counted. */
  readonly cpu: number
}

export interface Engine {
  /** Starts all workflows and answers when the last one has ended. */
  readonly run: (ids: ReadonlyArray<string>) => Promise<unknown>
}

/** The engine's side; returns when standard input ends. */
export const serveRounds = async ({ run }: Engine): Promise<void> => {
  console.log("ready")
  for await (const line of createInterface({ input: process.stdin })) {
    const [count = 0, width = 1] = line.split(" ").map(Number)
    const ids = Array.from({ length: count }, () => randomUUID())
    const cpuBefore = process.cpuUsage()
    const started = performance.now()
    for (let at = 0; at < ids.length; at += width) await run(ids.slice(at, at + width))
    const ms = performance.now() - started
    const { system, user } = process.cpuUsage(cpuBefore)
    console.log(JSON.stringify({ ms, cpu: (system + user) / 1000 }))
  }
}

export interface EngineProcess {
  readonly round: (count: number, width: number) => Promise<Round>
  readonly stop: () => Promise<void>
}

/** The benchmark's side. */
export const startEngine = async (
  program: string,
  args: ReadonlyArray<string>
): Promise<EngineProcess> => {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["pipe", "pipe", "inherit"] })
  const next = linesOf(child)
  await next()
  return {
    round: async (count, width) => {
      child.stdin?.write(`${count} ${width}\n`)
      return JSON.parse(await next()) as Round
    },
    stop: async () => {
      child.stdin?.end()
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
    }
  }
}

const linesOf = (child: ChildProcess): (() => Promise<string>) => {
  if (child.stdout === null) throw new Error("its output is not a pipe")
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return async () => {
    // What libraries say on standard output is not for us.
    for (;;) {
      const { done, value } = await lines.next()
      if (done) throw new Error(`the engine ended with ${child.exitCode}`)
      if (value === "ready" || value.startsWith('{"ms"')) return value
    }
  }
}
