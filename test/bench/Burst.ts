/** Load: connections that ask one request after the other, each for the next host of a list. */
import { connect } from "node:net"

export interface Burst {
  readonly count: number
  readonly perSecond: number
  /** Milliseconds of the slowest in a hundred. */
  readonly p99: number
}

export interface Load {
  readonly port: number
  /** Asked for in turn; every connection begins somewhere else. */
  readonly hosts: ReadonlyArray<string>
  readonly connections: number
  readonly ms: number
  /** How every answer ends. */
  readonly body: string
}

/** Rejects at the first answer that is not a 200. */
export const burst = async ({ port, hosts, connections, ms, body }: Load): Promise<Burst> => {
  const requests = hosts.map((host) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const started = performance.now()
  const took: Array<number> = []
  const one = (number: number) =>
    new Promise<void>((resolve, reject) => {
      let at = Math.floor((number * requests.length) / connections)
      let asked = 0
      let seen = ""
      const socket = connect(port, "127.0.0.1", () => next())
      const next = () => {
        asked = performance.now()
        socket.write(requests[at++ % requests.length] ?? "")
      }
      socket.setNoDelay(true)
      socket.setEncoding("latin1").on("data", (text: string) => {
        seen += text
        if (!seen.endsWith(body)) return
        if (!seen.startsWith("HTTP/1.1 200")) return void reject(new Error(seen))
        seen = ""
        const now = performance.now()
        took.push(now - asked)
        if (now < started + ms) next()
        else socket.end(resolve)
      })
      socket.on("error", reject)
      socket.on("close", () => reject(new Error(`a connection was closed; it had got: ${seen}`)))
    })
  await Promise.all(Array.from({ length: connections }, (_, number) => one(number)))
  const count = took.length
  const p99 = took.sort((a, b) => a - b)[Math.ceil(0.99 * count) - 1] ?? Number.NaN
  return { count, perSecond: (count * 1000) / (performance.now() - started), p99 }
}
