/** The apps' port on loopback; it can move to another one without a refused connection. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { makeCounts } from "./Counts.ts"
import { headBytes, type Limits } from "./Limits.ts"
import { reasonOf } from "./Log.ts"

export interface Listening {
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, early: Buffer) => void
}

export interface Listener {
  /** Where it listens now; 0: nowhere. */
  readonly port: number
  /** Why it is not where it was asked to be; null: it is. */
  readonly problem: string | null
  /** Open connections of visitors, upgraded ones too. */
  readonly connections: number
  /** Listens on `port` first and then leaves the old one; stays when that fails. 0: any port will do. */
  readonly move: (port: number) => Promise<void>
  /** Accepts no more, waits at most `drainMs` for those being answered, then cuts them off. */
  readonly close: (drainMs: number) => Promise<void>
}

export const makeListener = (apps: Listening, limits: Limits): Listener => {
  const leaving = new Set<Promise<void>>()
  let door: Door | null = null
  let port = 0
  let problem: string | null = null

  return {
    get port() {
      return port
    },
    get problem() {
      return problem
    },
    get connections() {
      return door?.sockets.size ?? 0
    },
    move: async (wanted) => {
      if (door !== null && (wanted === port || wanted === 0)) {
        problem = null
        return
      }
      const next = makeDoor(apps, limits)
      try {
        const bound = await listen(next.server, wanted)
        const old = door
        door = next
        port = bound
        problem = null
        if (old !== null) {
          const left = leave(old, movedDrainMs).finally(() => leaving.delete(left))
          leaving.add(left)
        }
      } catch (error) {
        problem = `can't listen on 127.0.0.1:${wanted}: ${reasonOf(error)}`
      }
    },
    close: async (drainMs) => {
      if (door !== null) leaving.add(leave(door, drainMs))
      door = null
      port = 0
      await Promise.all(leaving)
    }
  }
}

/** Milliseconds that connections to a port that was left have to finish: tunnels may take long. */
const movedDrainMs = 60_000

interface Door {
  readonly server: Server
  /** Also those that were upgraded, which the server has forgotten. */
  readonly sockets: ReadonlySet<Socket>
}

const makeDoor = ({ onRequest, onUpgrade }: Listening, limits: Limits): Door => {
  const server = createServer({
    insecureHTTPParser: false,
    requireHostHeader: true,
    maxHeaderSize: headBytes,
    headersTimeout: limits.headMs,
    connectionsCheckingInterval: limits.headMs / 5,
    // An upload may take as long as it needs, as long as it goes on: BodyWatch looks after that.
    requestTimeout: 0,
    keepAliveTimeout: 65_000,
    // `Upgrade: h2c` is an offer that may be ignored; the request is served as it is.
    shouldUpgradeCallback: ({ headers, httpVersion }) =>
      httpVersion === "1.1" && !/\bh2c\b/iu.test(headers.upgrade ?? "")
  })
  // Fields beyond its own number would be dropped without a word; we count them ourselves.
  server.maxHeadersCount = 0
  server.maxConnections = limits.connections
  const sockets = new Set<Socket>()
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    if (!sockets.has(request.socket)) return void request.socket.destroy()
    // The parser passes over what follows an upgrade, also one that it was told to pass over.
    const last = !server.listening || request.headers.upgrade !== undefined
    if (last) response.shouldKeepAlive = false
    onRequest(request, response)
  }
  server.on("request", serve)
  server.on("checkContinue", serve)
  server.on("upgrade", onUpgrade)
  server.on("connect", onUpgrade)
  const addresses = makeCounts()
  server.on("connection", (socket: Socket) => {
    const address = socket.remoteAddress ?? ""
    const counted = !limits.isShared(address)
    if (counted && !addresses.take(address, limits.connectionsPerAddress)) {
      socket.end(tooManyConnections, () => socket.destroy())
      return
    }
    sockets.add(socket)
    socket.once("close", () => {
      sockets.delete(socket)
      if (counted) addresses.give(address)
    })
  })
  return { server, sockets }
}

const tooManyConnections =
  "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

const listen = (server: Server, port: number): Promise<number> => {
  const { promise, reject, resolve } = Promise.withResolvers<number>()
  server.once("error", reject)
  server.listen({ host: "127.0.0.1", port, backlog: 1024 }, () => {
    server.off("error", reject)
    const address = server.address()
    resolve(typeof address === "object" && address !== null ? address.port : port)
  })
  return promise
}

const leave = async ({ server, sockets }: Door, drainMs: number): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const deadline = setTimeout(() => {
    for (const socket of sockets) socket.destroy()
  }, drainMs)
  // Those that were busy at the first call are idle at a later one.
  const idle = setInterval(() => server.closeIdleConnections(), 100)
  server.close(() => resolve())
  server.closeIdleConnections()
  await promise
  clearTimeout(deadline)
  clearInterval(idle)
}
