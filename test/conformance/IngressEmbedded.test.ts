/** The embedded ingress is an Ingress: the kit, through a real edge. */
import { once } from "node:events"
import { createServer } from "node:http"
import { connect, createServer as createSocketServer } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as IngressConformance from "@deploy-mcp/domain/conformance/IngressConformance"
import { labelOf, newStage, routeOf } from "@deploy-mcp/domain/conformance/IngressSamples"
import { Ingress, type IngressObservation } from "@deploy-mcp/domain/Ingress"
import { IngressEmbedded } from "@deploy-mcp/providers/ingress/embedded/IngressEmbedded"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Layer, Queue, type Scope, Stream } from "effect"
import { EdgeNode, edgeOn, folder, freePort, noHost, site, visit } from "./EdgeNode.ts"

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

/** A real server that asks `answer` for each request. */
const endpoint = Effect.fnUntraced(function* (answer: Effect.Effect<string>) {
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
})

IngressConformance.suite(
  "embedded",
  through((home) => Effect.succeed(edgeSocket(home))),
  {
    world: EdgeNode.layer(100),
    get: visit,
    endpoint,
    site,
    deaf: through(deafSocket)
  }
)

const emptyHome = Layer.effect(
  EdgeNode,
  Effect.all({ home: folder, appsPort: Effect.promise(freePort) })
)

it.live("hears that the edge has ended, and what it leads to when it is back", () =>
  Effect.gen(function* () {
    const ingress = yield* Ingress
    const { home, appsPort } = yield* EdgeNode
    const node = { home, appsPort, holdMs: 10_000 }
    const heard = yield* Queue.unbounded<IngressObservation>()
    const hear = (type: IngressObservation["type"]) =>
      Queue.take(heard).pipe(Effect.repeat({ until: (observed) => observed.type === type }))
    yield* ingress.attach(1).pipe(
      Stream.runForEach((observed) => Queue.offer(heard, observed)),
      Effect.forkScoped
    )
    const stage = newStage()
    const first = routeOf(stage, 3, yield* endpoint(Effect.succeed("first")))
    const release = first.target?.release ?? null
    const told: IngressObservation = { type: "route", stage, generation: 3, release }
    yield* Effect.gen(function* () {
      yield* edgeOn(node)
      assert.deepStrictEqual(yield* hear("hello"), { type: "hello", problem: null })
      yield* ingress.snapshot([first])
      assert.deepStrictEqual(yield* hear("route"), told)
    }).pipe(Effect.scoped)
    yield* hear("away")
    assert.isTrue(Exit.isFailure(yield* Effect.exit(ingress.snapshot([]))))
    yield* edgeOn(node)
    yield* hear("hello")
    assert.deepStrictEqual(yield* hear("route"), told)
    assert.strictEqual(yield* visit(labelOf(stage)), "first")
    const second = routeOf(stage, 4, yield* endpoint(Effect.succeed("second")), 1)
    yield* ingress.ensure(second)
    yield* hear("route")
    assert.strictEqual(yield* visit(labelOf(stage)), "second")
  }).pipe(
    Effect.scoped,
    Effect.provide(
      through((home) => Effect.succeed(edgeSocket(home))).pipe(Layer.provideMerge(emptyHome))
    )
  )
)
