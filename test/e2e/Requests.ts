/** Plain HTTP to a service by its host name, without name resolution. */
import { Agent, type IncomingHttpHeaders, request } from "node:http"
import { setTimeout as pause } from "node:timers/promises"

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Asked {
  readonly port: number
  /** Goes into the Host header; the connection is always to 127.0.0.1. */
  readonly host: string
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Absent: a connection of its own. */
  readonly agent?: Agent
}

/** Rejects when the connection is refused or breaks. */
export const ask = ({ port, host, path = "/", method = "GET", headers, body, agent }: Asked) =>
  new Promise<Answer>((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        path,
        method,
        headers: { ...headers, host },
        agent: agent ?? false
      },
      (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", reject)
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString("utf8")
          })
        )
      }
    )
    sent.setTimeout(60_000, () => sent.destroy(new Error("no answer within a minute")))
    sent.on("error", reject)
    sent.end(body)
  })

export interface Probe {
  /** Answers so far. */
  readonly count: () => number
  readonly stop: () => Promise<Probed>
}

export interface Probed {
  readonly count: number
  /** Everything that was not a 200. */
  readonly bad: ReadonlyArray<string>
  /** Each different one in the order of appearance. */
  readonly bodies: ReadonlyArray<string>
}

const millisecondsApart = 10
/** Visitors at a time; a machine that is this far behind is not asked for more. */
const mostOpen = 100

/**
 * Asks a hundred times a second, however long the answers take, over one kept connection and over new
 * ones in turns.
 */
export const probe = (port: number, host: string): Probe => {
  const kept = new Agent({ keepAlive: true, maxSockets: 1 })
  const bad: Array<string> = []
  const bodies: Array<string> = []
  const open = new Set<Promise<void>>()
  let count = 0
  let on = true
  const askOnce = async (turn: number) => {
    try {
      const { status, body } = await ask({ port, host, ...(turn % 2 ? { agent: kept } : {}) })
      if (status !== 200) bad.push(`${status} ${body.slice(0, 200)}`)
      else if (!bodies.includes(body)) bodies.push(body)
      count++
    } catch (error) {
      bad.push(String(error))
    }
  }
  const running = (async () => {
    const began = performance.now()
    for (let turn = 0; on; turn++) {
      const asked = askOnce(turn).finally(() => open.delete(asked))
      open.add(asked)
      await pause(Math.max(0, began + (turn + 1) * millisecondsApart - performance.now()))
      if (open.size >= mostOpen) await Promise.race(open)
    }
    await Promise.all(open)
  })()
  return {
    count: () => count,
    stop: async () => {
      on = false
      await running
      kept.destroy()
      return { count, bad, bodies }
    }
  }
}

/** What visitors of several services saw. */
export const together = (seen: ReadonlyArray<Probed>) => ({
  bad: seen.flatMap(({ bad }) => bad),
  requests: seen.reduce((sum, { count }) => sum + count, 0)
})
