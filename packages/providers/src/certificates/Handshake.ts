/** A real TLS server that serves a certificate, and a real client that decides whether to trust it. */

import { connect, createServer, type Server } from "node:tls"
import type { Certificate } from "@deploy-mcp/domain/Certificates"
import type { Handshake } from "@deploy-mcp/domain/conformance/CertificatesConformance"
import { Effect, Redacted } from "effect"

export const handshake = ({ certificate, roots, host }: Handshake) =>
  Effect.scoped(
    Effect.flatMap(serving(certificate), (port) =>
      Effect.callback<{ readonly isTrusted: boolean; readonly serial: string }>((resume) => {
        const socket = connect(
          { host: "127.0.0.1", port, servername: host, ca: [...roots], rejectUnauthorized: false },
          () => {
            const isTrusted = socket.authorized
            const serial = socket.getPeerCertificate().serialNumber
            socket.destroy()
            resume(Effect.succeed({ isTrusted, serial }))
          }
        )
        socket.once("error", (cause) => resume(Effect.die(cause)))
      })
    )
  )

const serving = ({ chain, key }: Certificate) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const server = createServer({ cert: chain, key: Redacted.value(key) })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
        })
    ),
    (server) => {
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : 0
    }
  )
