/** Many visitors of one service at the same time; whatever one of them would complain about is kept. */
import { Agent } from "node:http"
import { setTimeout as pause } from "node:timers/promises"
import { ask } from "./Requests.ts"

export interface LoadOptions {
  readonly port: number
  readonly host: string
  /** Half of them keep their connection, the others open one for each request. */
  readonly clients: number
}

export interface Load {
  /** Answers and failures so far. */
  readonly count: () => number
  /** Ends it when everybody has their answer. */
  readonly stop: () => Promise<LoadReport>
}

export interface LoadReport {
  readonly count: number
  readonly perSecond: number
  /** Answers a second in those five seconds in which there were the fewest. */
  readonly fewest: number
  readonly slowestMs: number
  /** Everything but a 200 within `patienceMs`. */
  readonly bad: ReadonlyArray<string>
  /** Each different body in the order of appearance. */
  readonly bodies: ReadonlyArray<string>
}

/** An answer that comes later counts as none. */
export const patienceMs = 5_000

/** Between two requests of one client: on a small machine the deployments need their share. */
const breathMs = 10

export const load = ({ port, host, clients }: LoadOptions): Load => {
  const bad: Array<string> = []
  const bodies = new Set<string>()
  const started = performance.now()
  /** Answers in each second. */
  const seconds: Array<number> = []
  let count = 0
  let slowestMs = 0
  let on = true

  const visit = async (agent: Agent | undefined): Promise<void> => {
    const asked = performance.now()
    const problem = await ask({ port, host, ...(agent === undefined ? {} : { agent }) }).then(
      ({ status, body }) => {
        if (status !== 200) return `${status} ${body.slice(0, 200)}`
        bodies.add(body)
        return null
      },
      String
    )
    const ms = performance.now() - asked
    count += 1
    const second = Math.floor((asked + ms - started) / 1000)
    while (seconds.length <= second) seconds.push(0)
    seconds[second] = (seconds[second] ?? 0) + 1
    slowestMs = Math.max(slowestMs, ms)
    if (problem !== null) bad.push(problem)
    else if (ms > patienceMs) bad.push(`an answer after ${Math.round(ms)} ms`)
  }
  const client = async (kept: boolean): Promise<void> => {
    const agent = kept ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined
    while (on) {
      await visit(agent)
      await pause(breathMs)
    }
    agent?.destroy()
  }

  const running = Array.from({ length: clients }, (_, number) => client(number % 2 === 0))
  return {
    count: () => count,
    stop: async () => {
      on = false
      const whole = Math.floor((performance.now() - started) / 1000)
      await Promise.all(running)
      const perSecond = (count * 1000) / (performance.now() - started)
      // The last second is not over.
      const fewest = fewestInFive(Array.from({ length: whole }, (_, at) => seconds[at] ?? 0))
      return { count, perSecond, fewest, slowestMs, bad, bodies: [...bodies] }
    }
  }
}

const fewestInFive = (seconds: ReadonlyArray<number>): number => {
  const sums = seconds
    .slice(4)
    .map((_, from) => seconds.slice(from, from + 5).reduce((sum, count) => sum + count, 0))
  return Math.min(...sums) / 5
}
