/**
 * The one listener of a control process. While another process holds the database, what comes in is
 * forwarded to it; when this one takes over, the platform's own doors get the same listener, so that
 * nobody is refused in between.
 */
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as send
} from "node:http"
import { Failure } from "@deploy-mcp/domain/Failure"
import { makeBodyWatch } from "@deploy-mcp/edge/BodyWatch"
import { Context, Effect, Layer, type Scope } from "effect"
import { ServeError } from "effect/http/HttpServerError"

export class FrontDoor extends Context.Service<
  FrontDoor,
  {
    /** For the platform's doors. Listens already when this process stood by. */
    readonly server: Server
    /** Listens, and forwards until the platform's doors take over or the scope ends. */
    readonly standBy: Effect.Effect<Forwarding, ServeError, Scope.Scope>
    /** From now on a close is announced first, while `isAwaited` says that somebody takes over. */
    readonly takeLeave: (isAwaited: () => Promise<boolean>) => void
  }
>()("@deploy-mcp/runtime/FrontDoor") {
  static readonly layer = (port: number, limits: Partial<FrontDoorLimits> = {}) =>
    Layer.sync(FrontDoor, () => {
      const all = { ...frontDoorLimits, ...limits }
      const server = makeServer(all)
      return {
        server,
        standBy: standBy(server, port, all.waiting),
        takeLeave: (isAwaited) => takeLeave(server, isAwaited)
      }
    })
}

export interface FrontDoorLimits {
  /** Connections in all; those that come when there are as many are closed. */
  readonly connections: number
  /** Requests that wait for somebody who holds the platform. */
  readonly waiting: number
  /** Milliseconds in which the head of a request must be complete. */
  readonly headMs: number
  /** Milliseconds that a body may keep its reader waiting, and bytes that buy it one second more. */
  readonly bodyMs: number
  readonly bodyBytesPerSecond: number
  /** The same for a push, whose client may think long about what it sends. */
  readonly pushMs: number
}

const frontDoorLimits: FrontDoorLimits = {
  connections: 4_096,
  waiting: 1_024,
  headMs: 10_000,
  bodyMs: 20_000,
  bodyBytesPerSecond: 500,
  pushMs: 300_000
}

/** How long a body may be is for each door to say. */
const makeServer = (limits: FrontDoorLimits): Server => {
  const server = createServer({
    insecureHTTPParser: false,
    requestTimeout: 0,
    headersTimeout: limits.headMs,
    connectionsCheckingInterval: limits.headMs / 5,
    maxHeaderSize: 16 * 1024
  })
  server.maxConnections = limits.connections
  const { bodyBytesPerSecond, bodyMs, pushMs } = limits
  const bodyBytes = Number.POSITIVE_INFINITY
  const bodies = makeBodyWatch({ bodyBytes, bodyBytesPerSecond, bodyMs })
  const pushes = makeBodyWatch({ bodyBytes, bodyBytesPerSecond, bodyMs: pushMs })
  server.on("request", (request, response) => {
    if (request.headers["transfer-encoding"] === undefined && !request.headers["content-length"])
      return
    const watch = request.url?.startsWith("/git/") === true ? pushes : bodies
    // The door that reads it would answer too late: it learns that the client is gone.
    watch.add(request, response, () => {
      request.socket.end(bodyTooSlow)
      request.socket.destroySoon()
    })
  })
  return server
}

const bodyTooSlow = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"

export interface Forwarding {
  /** Port on 127.0.0.1 of the process that holds the platform; null: nobody does, requests wait. */
  readonly to: (port: number | null) => void
}

/** Milliseconds that a request waits for somebody who holds the platform. */
const patience = 30_000

const standBy = (server: Server, port: number, places: number) =>
  Effect.gen(function* () {
    yield* listen(server, port)
    const forwarder = makeForwarder(places)
    server.on("request", forwarder.handle)
    // The platform's doors come as listeners of their own and want to open what is open.
    Object.defineProperty(server, "listen", {
      value: (_options: unknown, listening: () => void) => {
        queueMicrotask(listening)
        return server
      }
    })
    server.on("newListener", function takeOver(event, doors: Handle) {
      if (event !== "request") return
      server.off("newListener", takeOver).off("request", forwarder.handle)
      queueMicrotask(() => forwarder.leave(doors))
    })
    return { to: forwarder.to }
  })

/** Says in an answer that this process is about to close: the next request should wait for another. */
const leaving = "x-deploy-mcp-leaving"
/** Milliseconds in which those that forward here hear of it; then nobody is in the queue of a closed port. */
const farewell = 250

const takeLeave = (server: Server, isAwaited: () => Promise<boolean>): void => {
  const close = server.close.bind(server)
  Object.defineProperty(server, "close", {
    value: (closed?: (error?: Error) => void) => {
      server.prependListener("request", (_, response) => response.setHeader(leaving, "1"))
      void isAwaited().then((awaited) => setTimeout(() => close(closed), awaited ? farewell : 0))
      return server
    }
  })
}

const listen = (server: Server, port: number): Effect.Effect<void, ServeError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<void, ServeError>((resume) => {
      const refused = (cause: Error) => resume(Effect.fail(new ServeError({ cause })))
      server.once("error", refused).listen(port, "127.0.0.1", () => {
        server.off("error", refused)
        resume(Effect.void)
      })
    }),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

type Exchange = readonly [IncomingMessage, ServerResponse]
type Handle = (...exchange: Exchange) => void

const makeForwarder = (places: number) => {
  const waiting = new Map<Exchange, NodeJS.Timeout>()
  const underWay = new Set<ClientRequest>()
  let holder: number | null = null
  /** It has said that it leaves: for a while its place is not where it says it is. */
  let left: { readonly port: number; readonly at: number } | null = null
  let successor: Handle | null = null

  const handle: Handle = (request, response) => {
    if (successor !== null) return successor(request, response)
    if (request.url === "/livez") return answer(response, 200, "text/plain", "standing by\n")
    if (holder !== null) return forward(request, response, holder)
    if (request.url === "/readyz") {
      return answer(response, 503, "text/plain", "nobody holds the platform yet\n")
    }
    if (waiting.size >= places) unavailable(response)
    else wait([request, response])
  }

  const wait = (exchange: Exchange): void => {
    const [, response] = exchange
    const forget = (): void => {
      clearTimeout(waiting.get(exchange))
      waiting.delete(exchange)
    }
    const giveUp = (): void => {
      forget()
      unavailable(response)
    }
    waiting.set(exchange, setTimeout(giveUp, patience))
    response.once("close", forget)
  }

  const resume = (handle: Handle): void => {
    for (const [exchange, timer] of waiting) {
      clearTimeout(timer)
      waiting.delete(exchange)
      handle(...exchange)
    }
  }

  /** Connections are not kept: one that its other end has just closed would fail a request. */
  const forward = (request: IncomingMessage, response: ServerResponse, port: number): void => {
    const { method = "GET", url: path, rawHeaders: headers } = request
    const upstream = send({ host: "127.0.0.1", port, method, path, headers, agent: false })
    let heard = false
    underWay.add(upstream)
    upstream.once("socket", (socket) =>
      socket.once("connect", () => {
        heard = true
        request.pipe(upstream)
      })
    )
    upstream.once("response", (answered) => {
      if (leaving in answered.headers) {
        left = { port, at: performance.now() }
        if (holder === port) holder = null
      }
      response.writeHead(answered.statusCode ?? 502, answered.rawHeaders)
      response.flushHeaders()
      answered.once("error", () => response.destroy()).pipe(response)
    })
    upstream.once("error", () => {
      if (response.headersSent) return void response.destroy()
      // Who never heard the request has done nothing of it; others may have.
      if (heard && !["GET", "HEAD"].includes(method)) return unavailable(response)
      if (holder === port) holder = null
      handle(request, response)
    })
    upstream.once("close", () => underWay.delete(upstream))
    response.once("close", () => upstream.destroy())
  }

  return {
    handle,
    to: (port: number | null): void => {
      if (port === left?.port && performance.now() - left.at < farewell * 20) return
      holder = port
      if (port !== null) resume((request, response) => forward(request, response, port))
    },
    /** What waits goes to `next`; what the last holder has not answered by now it never will. */
    leave: (next: Handle): void => {
      successor = next
      resume(next)
      for (const upstream of underWay) upstream.destroy(new Error("another process took over"))
    }
  }
}

const unavailable = (response: ServerResponse): void => {
  const failure = Failure.of("unavailable", "Another control process is taking over.", {
    next: "Look at the state with a read, then try again."
  })
  response.setHeader("retry-after", "1")
  answer(response, 503, "application/json", JSON.stringify({ error: failure }))
}

const answer = (response: ServerResponse, status: number, type: string, body: string): void => {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) })
  response.end(body)
}
