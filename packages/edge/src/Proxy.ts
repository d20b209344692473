/**
 * One request on its way to a healthy process and back: streamed in both directions, never held in
 * memory. What a caller may try again (nothing was sent yet) comes back as `unreachable`.
 */

import type { ServerResponse } from "node:http"
import { type ClientRequest, request as connect, type IncomingMessage } from "node:http"
import { badRequest, cutOff, sendPage } from "./Pages.ts"
import type { Release, Upstream } from "./Release.ts"
import { type RequestHead, responseFields } from "./RequestHead.ts"

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly head: RequestHead
  /** The service's name, for pages. */
  readonly name: string
  /** Called instead of an answer when no connection came about; nothing was sent. */
  readonly unreachable: () => void
}

export const forward = (release: Release, upstream: Upstream, exchange: Exchange): void => {
  const { response } = exchange
  let outgoing: ClientRequest | null = null
  const leave = release.enter(() => response.destroy())
  const onClose = (): void => {
    leave()
    // The client is gone before its answer was complete: so is the reason for the work upstream.
    if (!response.writableFinished) outgoing?.destroy()
  }
  response.once("close", onClose)

  const attempt = (pooled: boolean): void => {
    outgoing = send(upstream, exchange, pooled, {
      unreachable: () => {
        response.off("close", onClose)
        leave()
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
  failures: Failures
): ClientRequest | null => {
  const { head, name, request, response } = exchange
  let outgoing: ClientRequest
  try {
    outgoing = connect({
      host: endpoint.host,
      port: endpoint.port,
      method: request.method,
      path: request.url,
      headers: head.fields,
      agent: pooled ? agent : false,
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
    if (socket.connecting) socket.once("connect", start)
    else start()
  })
  outgoing.once("response", (incoming) => sendAnswer(exchange, incoming, outgoing))
  let over = false
  outgoing.on("error", () => {
    if (over || response.destroyed) return
    over = true
    if (response.headersSent) response.destroy()
    else if (!connected) failures.unreachable()
    else if (outgoing.reusedSocket && !head.hasBody) failures.lost()
    else sendPage(request, response, cutOff(name))
  })
  return outgoing
}

const sendBody = ({ head, request, response }: Exchange, outgoing: ClientRequest): void => {
  if (!head.hasBody) {
    outgoing.end()
    return
  }
  if (!head.expectsContinue) {
    request.pipe(outgoing)
    return
  }
  outgoing.flushHeaders()
  const proceed = (): void => {
    clearTimeout(impatience)
    if (request.readableFlowing !== null || response.headersSent || response.destroyed) return
    response.writeContinue()
    request.pipe(outgoing)
  }
  // Some servers never say 100 and wait for the body.
  const impatience = setTimeout(proceed, 1_000)
  outgoing.once("continue", proceed)
  outgoing.once("close", () => clearTimeout(impatience))
}

const sendAnswer = (
  { request, response }: Exchange,
  incoming: IncomingMessage,
  outgoing: ClientRequest
): void => {
  if (response.headersSent || response.destroyed) {
    incoming.destroy()
    return
  }
  const fields = responseFields(incoming.rawHeaders)
  // An answer that came before the whole body: what is left of it has no reader any more.
  if (!request.complete && request.readableFlowing === null) fields.push("Connection", "close")
  response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage ?? "", fields)
  let begun = false
  incoming.on("data", (chunk) => {
    begun = true
    if (!response.write(chunk)) incoming.pause()
  })
  response.on("drain", () => incoming.resume())
  incoming.once("end", () => {
    begun = true
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
