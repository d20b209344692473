/** An upgraded connection (WebSocket): shaken hands with upstream, then bytes both ways until one side ends. */
import { request as connect, type IncomingMessage } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { cutOff, sendPageOnSocket, silent } from "./Pages.ts"
import { giveUpAfter } from "./Proxy.ts"
import { wayTo } from "./process/DialAgent.ts"
import type { Release } from "./Release.ts"
import { type RequestHead, responseFields } from "./RequestHead.ts"
import type { Upstream } from "./Upstream.ts"

export interface UpgradeExchange {
  readonly request: IncomingMessage
  readonly socket: Duplex
  /** What came after the request's head already. */
  readonly early: Buffer
  readonly head: RequestHead
  readonly name: string
  /** Milliseconds that the process may take to answer; an open tunnel has no limit. */
  readonly idleMs: number
  /** Milliseconds that a connection may take to come about. */
  readonly connectMs: number
  /** Called when no connection came about. */
  readonly unreachable: () => void
}

export const tunnel = (release: Release, upstream: Upstream, exchange: UpgradeExchange): void => {
  const { early, head, name, request, socket } = exchange
  const leave = release.enter(() => socket.destroy())
  const outgoing = connect({
    ...wayTo(upstream.endpoint),
    method: request.method,
    path: request.url,
    headers: head.fields,
    setHost: false,
    timeout: exchange.idleMs
  })
  const onClose = (): void => {
    leave()
    outgoing.destroy()
  }
  let connected = false
  socket.once("close", onClose)
  outgoing.once("socket", (upward) => {
    connected = !upward.connecting
    if (connected) return
    giveUpAfter(exchange.connectMs, upward)
    upward.once("connect", () => {
      connected = true
    })
  })
  outgoing.once("upgrade", (incoming, upward, first) => {
    socket.write(
      headOf(incoming, ["Connection", "Upgrade", "Upgrade", incoming.headers.upgrade ?? ""])
    )
    if (first.length > 0) socket.write(first)
    if (early.length > 0) upward.write(early)
    join(socket, upward)
  })
  outgoing.once("response", (incoming) => {
    socket.write(headOf(incoming, ["Connection", "close"]))
    incoming.once("error", () => socket.destroy())
    incoming.pipe(socket)
  })
  let late = false
  outgoing.once("timeout", () => {
    late = true
    outgoing.destroy(new Error("the process does not answer"))
  })
  outgoing.once("error", () => {
    if (socket.destroyed) return
    if (connected) {
      sendPageOnSocket(request, socket, late ? silent(name) : cutOff(name))
      return
    }
    socket.off("close", onClose)
    leave()
    exchange.unreachable()
  })
  outgoing.end()
}

const headOf = (incoming: IncomingMessage, more: ReadonlyArray<string>): string => {
  const fields = [...responseFields(incoming.rawHeaders), ...more]
  let head = `HTTP/1.1 ${incoming.statusCode} ${incoming.statusMessage}\r\n`
  for (let at = 0; at < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`
  return `${head}\r\n`
}

/** When one side is gone the other one goes too: a half-dead tunnel would hold up a drain. */
const join = (downward: Duplex, upward: Duplex): void => {
  for (const [from, to] of [
    [downward, upward],
    [upward, downward]
  ] as const) {
    if (from instanceof Socket) from.setTimeout(0).setNoDelay(true).setKeepAlive(true, 30_000)
    from.on("error", () => to.destroy())
    from.once("close", () => to.destroy())
    from.pipe(to)
  }
}
