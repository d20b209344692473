/**
 * One request on its way to a healthy process and back: streamed in both directions, never held in
 * memory. What a caller may try again (nothing was sent yet) comes back as `unreachable`.
 */
import {
  type ClientRequest,
  request as connect,
  type IncomingMessage,
  type InformationEvent,
  type ServerResponse
} from "node:http"
import type { Socket } from "node:net"
import type { BodyWatch } from "./BodyWatch.ts"
import type { IdleWatch, Watched } from "./IdleWatch.ts"
import { headFields } from "./Limits.ts"
import { badRequest, cutOff, headTooLarge, type Page, sendPage, silent } from "./Pages.ts"
import { wayTo } from "./process/DialAgent.ts"
import type { Release } from "./Release.ts"
import { type RequestHead, responseFields, trailerFields } from "./RequestHead.ts"
import type { Upstream } from "./Upstream.ts"

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly head: RequestHead
  /** The service's name, for pages. */
  readonly name: string
  readonly idle: IdleWatch
  readonly bodies: BodyWatch
  /** Milliseconds that a connection may take to come about. */
  readonly connectMs: number
  /** Called instead of an answer when no connection came about; nothing was sent. */
  readonly unreachable: () => void
}

export const forward = (release: Release, upstream: Upstream, exchange: Exchange): void => {
  const { idle, name, request, response } = exchange
  const leave = release.enter(() => response.destroy())
  const watched: Watched = {
    outgoing: null,
    endless: false,
    onSilent: () => {
      sendPage(request, response, silent(name))
      watched.outgoing?.destroy()
    }
  }
  idle.add(watched)
  const over = (): void => {
    idle.remove(watched)
    leave()
  }
  const onClose = (): void => {
    over()
    // The client is gone before its answer was complete: so is the reason for the work upstream.
    if (!response.writableFinished) watched.outgoing?.destroy()
  }
  response.once("close", onClose)

  const attempt = (pooled: boolean): void => {
    watched.outgoing = send(upstream, exchange, pooled, watched, {
      unreachable: () => {
        response.off("close", onClose)
        over()
        exchange.unreachable()
      },
      lost: () => attempt(false)
    })
  }
  attempt(true)
}

interface Failures {
  readonly unreachable: () => void
  /** A kept connection was already closed at the other end; nobody has seen the request. */
  readonly lost: () => void
}

const send = (
  { agent, endpoint }: Upstream,
  exchange: Exchange,
  pooled: boolean,
  watched: Watched,
  failures: Failures
): ClientRequest | null => {
  const { head, name, request, response } = exchange
  let outgoing: ClientRequest
  try {
    outgoing = connect({
      host: endpoint.host,
      port: endpoint.port,
      agent: pooled ? agent : wayTo(endpoint).agent,
      method: request.method,
      path: request.url,
      headers: head.fields,
      setHost: false
    })
  } catch {
    sendPage(
      request,
      response,
      badRequest("The request target has characters that are not allowed.")
    )
    return null
  }
  let connected = false
  outgoing.once("socket", (socket) => {
    const start = (): void => {
      connected = true
      sendBody(exchange, outgoing)
    }
    if (!socket.connecting) return start()
    giveUpAfter(exchange.connectMs, socket)
    socket.once("connect", start)
  })
  outgoing.on("information", (early) => passOn(exchange, early))
  outgoing.once("response", (incoming) => sendAnswer(exchange, incoming, outgoing, watched))
  let over = false
  outgoing.on("error", () => {
    if (over || response.destroyed || response.writableEnded) return
    over = true
    if (response.headersSent) response.destroy()
    else if (!connected) failures.unreachable()
    else if (outgoing.reusedSocket && !head.hasBody) failures.lost()
    else sendPage(request, response, cutOff(name))
  })
  return outgoing
}

/** An address where nobody is any more often says nothing at all, instead of refusing. */
export const giveUpAfter = (ms: number, socket: Socket): void => {
  const patience = setTimeout(() => socket.destroy(new Error("no connection came about")), ms)
  const settle = (): void => clearTimeout(patience)
  socket.once("connect", settle).once("close", settle)
}

const sendBody = (exchange: Exchange, outgoing: ClientRequest): void => {
  const { head, request, response } = exchange
  if (!head.hasBody) {
    outgoing.end()
    return
  }
  if (!head.expectsContinue) {
    pour(exchange, outgoing)
    return
  }
  outgoing.flushHeaders()
  const proceed = (): void => {
    clearTimeout(impatience)
    if (request.readableFlowing !== null || response.headersSent || response.destroyed) return
    response.writeContinue()
    pour(exchange, outgoing)
  }
  // Some servers never say 100 and wait for the body.
  const impatience = setTimeout(proceed, 1_000)
  outgoing.once("continue", proceed)
  outgoing.once("close", () => clearTimeout(impatience))
}

const pour = ({ bodies, request, response }: Exchange, outgoing: ClientRequest): void => {
  const refuse = (page: Page): void => {
    sendPage(request, response, page)
    outgoing.destroy()
  }
  bodies.add(request, response, refuse)
  request.pipe(outgoing, { end: false })
  request.once("end", () => {
    if (outgoing.destroyed) return
    if (request.rawTrailers.length > 2 * headFields) return refuse(headTooLarge)
    if (request.rawTrailers.length > 0) outgoing.addTrailers(trailerFields(request.rawTrailers))
    outgoing.end()
  })
}

/** Early hints and "still working"; 100 has its own way, and old clients would take it for the answer. */
const passOn = ({ request, response }: Exchange, early: InformationEvent): void => {
  if (response.headersSent || response.destroyed || request.httpVersion !== "1.1") return
  if (early.statusCode === 102) response.writeProcessing()
  if (early.statusCode !== 103) return
  const hints: Record<string, Array<string>> = {}
  const fields = responseFields(early.rawHeaders)
  for (let at = 0; at < fields.length; at += 2) {
    const name = (fields[at] ?? "").toLowerCase()
    hints[name] = [...(hints[name] ?? []), fields[at + 1] ?? ""]
  }
  try {
    if (hints.link !== undefined) response.writeEarlyHints(hints)
  } catch {
    // A link that Node takes for malformed: a hint may be left out.
  }
}

const sendAnswer = (
  { request, response }: Exchange,
  incoming: IncomingMessage,
  outgoing: ClientRequest,
  watched: Watched
): void => {
  if (response.headersSent || response.destroyed) {
    incoming.destroy()
    return
  }
  const fields = responseFields(incoming.rawHeaders)
  // An answer that came before the whole body: what is left of it has no reader any more.
  if (!request.complete && request.readableFlowing === null) fields.push("Connection", "close")
  if (incoming.headers.trailer !== undefined && isChunkedTo(request, incoming)) {
    fields.push("Trailer", incoming.headers.trailer)
  }
  watched.endless = incoming.headers["content-type"]?.startsWith("text/event-stream") === true
  response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage ?? "", fields)
  let begun = false
  incoming.on("data", (chunk) => {
    begun = true
    if (!response.write(chunk)) incoming.pause()
  })
  response.on("drain", () => incoming.resume())
  incoming.once("end", () => {
    begun = true
    if (incoming.rawTrailers.length > 0) response.addTrailers(trailerFields(incoming.rawTrailers))
    response.end()
    if (request.complete) return
    // Nobody wants the rest of the body; the client's connection is usable again once it is read.
    request.unpipe(outgoing)
    request.resume()
    outgoing.destroy()
  })
  incoming.on("error", () => response.destroy())
  // The head goes with the first bytes in one write, unless they let us wait (event streams do).
  setImmediate(() => {
    if (!begun && !response.destroyed) response.flushHeaders()
  })
}

/** Whether the answer goes on in chunks, as it came: only then trailers can follow. */
const isChunkedTo = (request: IncomingMessage, { headers, statusCode }: IncomingMessage) =>
  headers["transfer-encoding"] !== undefined &&
  headers["content-length"] === undefined &&
  request.httpVersion === "1.1" &&
  request.method !== "HEAD" &&
  statusCode !== 204 &&
  statusCode !== 304
