/** The proxy of one step: CONNECT for all that is encrypted, plain HTTP for the rest. */
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http"
import { connect, type LookupFunction, type Server, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Address, Judge, Verdict } from "./Judge.ts"

export interface EgressProxy {
  /** Answers who connects to the listener. */
  readonly serve: (listener: Server) => void
  readonly close: () => void
}

/** `refused` hears each refusal as a sentence. */
export const openProxy = (judge: Judge, refused: (sentence: string) => void): EgressProxy => {
  const open = new Set<Duplex>()
  const listeners = new Set<Server>()
  const keep = <A extends Duplex>(socket: A): A => {
    open.add(socket)
    socket.on("close", () => open.delete(socket)).on("error", () => socket.destroy())
    return socket
  }
  const decide = async (host: string, port: number): Promise<Decision> => {
    const verdict = await judge(host, port).catch((): Verdict => ({ unknown: "it has no address" }))
    if ("addresses" in verdict) return { addresses: verdict.addresses }
    if ("unknown" in verdict) return { status: 502, sentence: `Not found: ${verdict.unknown}.` }
    const sentence = `Refused to the build: ${verdict.refused}.`
    refused(sentence)
    return { status: 403, sentence }
  }

  const server = createServer({ maxHeaderSize: 32 * 1024 }, async (incoming, response) => {
    const url = URL.canParse(incoming.url ?? "") ? new URL(incoming.url ?? "") : null
    if (url?.protocol !== "http:") return answer(response, 400, "This is a proxy for HTTP.")
    const port = Number(url.port || 80)
    const decision = await decide(url.hostname.replace(/^\[|\]$/gu, ""), port)
    if ("status" in decision) return answer(response, decision.status, decision.sentence)
    forward(incoming, response, url, decision.addresses, keep)
  })
  server.on("connect", async (incoming, client: Duplex, head: Buffer) => {
    const place = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/u.exec(incoming.url ?? "")
    const port = Number(place?.[2])
    if (place?.[1] === undefined || port < 1 || port > 65_535) return end(client, 400, "Bad place.")
    const host = place[1].replace(/^\[|\]$/gu, "")
    const decision = await decide(host, port)
    if ("status" in decision) return end(client, decision.status, decision.sentence)
    if (client.destroyed) return
    const upstream = keep(connect({ host, port, lookup: only(decision.addresses) }))
    upstream.setTimeout(connectTimeout, () => upstream.destroy())
    upstream.once("error", () => end(client, 502, "The connection failed."))
    upstream.once("connect", () => {
      upstream.setTimeout(0)
      client.write("HTTP/1.1 200 Connection established\r\n\r\n")
      upstream.write(head)
      client.pipe(upstream).pipe(client)
    })
    client.on("close", () => upstream.destroy())
    upstream.on("close", () => client.destroy())
  })
  server.on("upgrade", (_, socket: Duplex) => socket.destroy())
  server.on("clientError", (_, socket: Duplex) => socket.destroy())

  return {
    serve: (listener) => {
      listeners.add(listener)
      listener.on("connection", (socket: Socket) => {
        if (open.size >= mostSockets) return socket.destroy()
        keep(socket)
        server.emit("connection", socket)
      })
    },
    close: () => {
      for (const listener of listeners) listener.close()
      for (const socket of open) socket.destroy()
    }
  }
}

type Decision =
  | { readonly addresses: ReadonlyArray<Address> }
  | { readonly status: 403 | 502; readonly sentence: string }

/** Of one step at a time, both sides together: bun opens 256. */
const mostSockets = 1024
const connectTimeout = 30_000

/** A name is never asked for again: it could have another answer. */
const only =
  (addresses: ReadonlyArray<Address>): LookupFunction =>
  (_, options, done) => {
    const [first = { address: "", family: 0 }] = addresses
    if (options.all) done(null, [...addresses])
    else done(null, first.address, first.family)
  }

const forward = (
  incoming: IncomingMessage,
  response: ServerResponse,
  url: URL,
  addresses: ReadonlyArray<Address>,
  keep: (socket: Socket) => Socket
): void => {
  const upstream = request({
    host: url.hostname.replace(/^\[|\]$/gu, ""),
    port: Number(url.port || 80),
    lookup: only(addresses),
    method: incoming.method,
    path: `${url.pathname}${url.search}`,
    headers: ["Host", url.host, ...endToEnd(incoming, ["host"])],
    agent: false
  })
  upstream.on("socket", keep)
  upstream.on("error", () => answer(response, 502, "The connection failed."))
  upstream.on("response", (from) => {
    response.writeHead(from.statusCode ?? 502, from.statusMessage, endToEnd(from, []))
    from.pipe(response)
    from.on("error", () => response.destroy())
  })
  response.on("close", () => upstream.destroy())
  incoming.pipe(upstream)
}

/** All fields but those that are about one connection. */
const endToEnd = (message: IncomingMessage, without: ReadonlyArray<string>): Array<string> => {
  const named = (message.headers.connection ?? "").split(",").map((name) => name.trim())
  const left = new Set([...hopByHop, ...without, ...named].map((name) => name.toLowerCase()))
  const fields: Array<string> = []
  for (let n = 0; n + 1 < message.rawHeaders.length; n += 2) {
    const [name = "", value = ""] = message.rawHeaders.slice(n, n + 2)
    if (!left.has(name.toLowerCase())) fields.push(name, value)
  }
  return fields
}
const hopByHop = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
]

const answer = (response: ServerResponse, status: number, sentence: string): void => {
  if (response.headersSent) response.destroy()
  else response.writeHead(status, { "content-type": "text/plain" }).end(`${sentence}\n`)
}

const end = (client: Duplex, status: number, sentence: string): void => {
  if (client.destroyed) return
  const body = `${sentence}\n`
  client.end(
    `HTTP/1.1 ${status} Refused\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
  )
}
