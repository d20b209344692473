/**
 * The only way out for git: a proxy on loopback that lives for one command. It resolves the name,
 * looks at the addresses and dials those that it looked at, for the first connection as for each
 * that a redirect leads to; a name that means another address the next time gains nothing. TLS
 * passes through, so it is still git that checks the certificate.
 */
import { randomBytes } from "node:crypto"
import { lookup } from "node:dns/promises"
import { createServer, type IncomingMessage } from "node:http"
import { connect, type LookupFunction } from "node:net"
import type { Duplex } from "node:stream"
import { Effect } from "effect"
import { isHostName, isPublic } from "./Address.ts"

/** How names become addresses, and which of those may be dialled. */
export interface Network {
  readonly lookup: (
    name: string
  ) => Promise<ReadonlyArray<{ readonly address: string; readonly family: number }>>
  readonly permits: (address: string) => boolean
  /** Where servers listen that a URL without a port means. */
  readonly port: number
}

export const internet: Network = {
  lookup: (name) => lookup(name, { all: true }),
  permits: isPublic,
  port: 443
}

/** Why we did not make a connection, or cut it; null as long as that has not happened. */
export type Refusal = "address" | "size" | null

export interface Tunnel {
  /** With its password, which keeps other users of this machine out. */
  readonly proxy: string
  readonly refusal: () => Refusal
}

export const open = (network: Network, maxBytes: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly tunnel: Tunnel; readonly close: () => Promise<void> }>((resume) => {
      const password = randomBytes(24).toString("hex")
      const sockets = new Set<Duplex>()
      let refusal: Refusal = null
      let bytes = 0

      const track = (socket: Duplex) => {
        sockets.add(socket)
        socket.on("error", () => socket.destroy())
        socket.once("close", () => sockets.delete(socket))
      }
      const refuse = (client: Duplex) => {
        refusal ??= "address"
        answer(client, "403 Forbidden")
      }
      const server = createServer((_request, response) => {
        // A plain http request, as a redirect to http would make it.
        refusal ??= "address"
        response.writeHead(403, { Connection: "close" }).end()
      })
      server.on("connect", (request, client: Duplex, head: Buffer) => {
        track(client)
        if (!knows(request, password)) {
          return answer(client, "407 Proxy Authentication Required")
        }
        const name = targetOf(request)
        if (name === null) return refuse(client)
        network.lookup(name).then(
          (found) => {
            const addresses = found.filter(({ address }) => network.permits(address))
            if (addresses.length === 0) return refuse(client)
            if (client.destroyed) return
            const upstream = connect({
              host: name,
              port: network.port,
              lookup: already(addresses),
              autoSelectFamily: true,
              autoSelectFamilyAttemptTimeout: 3000
            })
            track(upstream)
            let connected = false
            upstream.once("close", () => {
              if (connected) client.destroy()
              else answer(client, "502 Bad Gateway")
            })
            client.once("close", () => upstream.destroy())
            upstream.once("connect", () => {
              connected = true
              client.write("HTTP/1.1 200 Connection established\r\n\r\n")
              upstream.write(head)
              upstream.on("data", (chunk: Buffer) => {
                bytes += chunk.length
                if (bytes <= maxBytes) return
                refusal ??= "size"
                for (const socket of sockets) socket.destroy()
              })
              client.pipe(upstream)
              upstream.pipe(client)
            })
          },
          () => answer(client, "502 Bad Gateway")
        )
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            tunnel: { proxy: `http://git:${password}@127.0.0.1:${port}`, refusal: () => refusal },
            close: () =>
              new Promise((done) => {
                server.close(() => done())
                server.closeAllConnections()
                for (const socket of sockets) socket.destroy()
              })
          })
        )
      })
    }),
    ({ close }) => Effect.promise(close)
  ).pipe(Effect.map(({ tunnel }) => tunnel))

const answer = (client: Duplex, status: string) => {
  client.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
}

const knows = (request: IncomingMessage, password: string) =>
  request.headers["proxy-authorization"] ===
  `Basic ${Buffer.from(`git:${password}`).toString("base64")}`

/** The name of `CONNECT name:443`; null for other ports, for addresses, for what is no name. */
const targetOf = ({ url = "" }: IncomingMessage): string | null => {
  const name = url.endsWith(":443") ? url.slice(0, -":443".length).toLowerCase() : ""
  return isHostName(name) ? name : null
}

/** Answers with what was looked at, so that nothing is resolved again. */
const already =
  (
    addresses: ReadonlyArray<{ readonly address: string; readonly family: number }>
  ): LookupFunction =>
  (_name, _options, done) =>
    done(null, [...addresses])
