/** The embedded ingress is an Ingress: the kit, through a real edge. */
import { once } from "node:events"
import { createServer } from "node:http"
import { connect, createServer as createSocketServer } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as IngressConformance from "@deploy-mcp/domain/conformance/IngressConformance"
import { IngressEmbedded } from "@deploy-mcp/providers/ingress/embedded/IngressEmbedded"
import { Effect, Layer, type Scope } from "effect"
import { EdgeNode, noHost, site, visit } from "./EdgeNode.ts"

const through = (socketOf: (home: string) => Effect.Effect<string, never, Scope.Scope>) =>
  Layer.unwrap(
    EdgeNode.use(({ home, appsPort }) =>
      Effect.map(socketOf(home), (socket) => IngressEmbedded.make({ socket, appsPort }))
    )
  ).pipe(Layer.provide(noHost))

const edgeSocket = (home: string) => join(home, "run/edge.sock")

/** A wire on which the acceptance of every delta is lost, and the connection with it. */
const deafSocket = Effect.fnUntraced(function* (home: string) {
  const path = join(home, "run/deaf.sock")
  const server = createSocketServer((control) => {
    const edge = connect(edgeSocket(home))
    const end = () => {
      control.destroy()
      edge.destroy()
    }
    control.on("error", end).on("close", end).pipe(edge)
    edge.on("error", end).on("close", end)
    createInterface(edge).on("line", (line) => {
      const message: unknown = JSON.parse(line)
      // Each control begins with a snapshot, which is its first revision.
      if (isApplied(message) && message.revision > 1) end()
      else control.write(`${line}\n`)
    })
  }).listen(path)
  yield* Effect.promise(() => once(server, "listening"))
  yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
  return path
})

const isApplied = (message: unknown): message is { readonly revision: number } =>
  typeof message === "object" &&
  message !== null &&
  "type" in message &&
  message.type === "applied" &&
  "revision" in message &&
  typeof message.revision === "number"

IngressConformance.suite(
  "embedded",
  through((home) => Effect.succeed(edgeSocket(home))),
  {
    world: EdgeNode.layer(100),
    get: visit,
    endpoint: Effect.fnUntraced(function* (answer) {
      const server = createServer(async (_request, response) => {
        response.end(await Effect.runPromise(answer))
      }).listen(0, "127.0.0.1")
      yield* Effect.promise(() => once(server, "listening"))
      yield* Effect.addFinalizer(() =>
        Effect.promise(async () => {
          const closed = once(server, "close")
          server.close()
          server.closeAllConnections()
          await closed
        })
      )
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      return { kind: "endpoint" as const, host: "127.0.0.1", port }
    }),
    site,
    deaf: through(deafSocket)
  }
)
