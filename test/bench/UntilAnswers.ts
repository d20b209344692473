/** Asks every two milliseconds over one kept connection until the wanted answer comes. */
import { Agent } from "node:http"
import { setTimeout as pause } from "node:timers/promises"
import { type Answer, ask } from "../e2e/Requests.ts"

const everyMs = 2

export interface Wanted {
  readonly port: number
  readonly host: string
  readonly path?: string
  readonly accepts: (body: string) => boolean
  readonly withinMs?: number
}

/** The first answer 200 whose body is accepted, and when it was there, by `performance.now()`. */
export const untilAnswers = async ({
  port,
  host,
  path = "/",
  accepts,
  withinMs = 60_000
}: Wanted) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const deadline = performance.now() + withinMs
  let last = "nothing"
  try {
    while (performance.now() < deadline) {
      const answer: Answer | string = await ask({ port, host, path, agent }).catch(String)
      if (typeof answer === "string") last = answer
      else if (answer.status === 200 && accepts(answer.body)) {
        return { at: performance.now(), body: answer.body }
      } else last = `${answer.status} ${answer.body.slice(0, 200)}`
      await pause(everyMs)
    }
  } finally {
    agent.destroy()
  }
  throw new Error(`${host} did not answer as wanted within ${withinMs} ms, but: ${last}`)
}
