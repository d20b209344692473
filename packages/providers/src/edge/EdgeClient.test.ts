import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { ControlHello, protocolVersion, Snapshot } from "@deploy-mcp/domain/node/NodeProtocol"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Queue, Schema, Stream } from "effect"
import * as EdgeClient from "./EdgeClient.ts"

/** An edge that speaks one version and refuses every other one, as each version does. */
const edgeOf = Effect.fnUntraced(function* (version: number) {
  const folder = mkdtempSync(join(tmpdir(), "edge-client-"))
  const socket = join(folder, "edge.sock")
  const heard: Array<typeof ControlHello.Type> = []
  let spoken = version
  const answer = (connection: Socket, line: string) => {
    const send = (message: unknown) => connection.write(`${JSON.stringify(message)}\n`)
    const message = decode(JSON.parse(line))
    const { epoch } = message
    if (message.type !== "hello")
      return send({ type: "applied", epoch, revision: message.revision })
    heard.push(message)
    if (message.protocol === spoken) return send({ ...hello, epoch, protocol: spoken })
    send({ type: "refused", epoch: 0, revision: 0, reason: `only ${spoken} is spoken here` })
    connection.end()
  }
  const connections = new Set<Socket>()
  const server = createServer((connection) => {
    connections.add(connection)
    createInterface(connection).on("line", (line) => answer(connection, line))
  }).listen(socket)
  yield* Effect.promise(() => once(server, "listening"))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      server.close()
      for (const connection of connections) connection.destroy()
      rmSync(folder, { recursive: true, force: true })
    })
  )
  return {
    socket,
    versions: () => heard.map(({ protocol }) => protocol),
    roles: () => heard.map(({ role }) => role),
    /** Another edge has its place. */
    replace: (next: number) => {
      spoken = next
      for (const connection of connections) connection.destroy()
    }
  }
})

it.live("speaks the version before to an edge that knows no newer one, until there is one", () =>
  Effect.gen(function* () {
    const edge = yield* edgeOf(protocolVersion - 1)
    const client = EdgeClient.make("deploy", { socket: edge.socket, appsPort: 0 })
    const greetings = yield* Queue.unbounded<EdgeClient.EdgeObservation>()
    yield* client.attach(7).pipe(
      Stream.filter(({ type }) => type === "hello"),
      Stream.runForEach((observed) => Queue.offer(greetings, observed)),
      Effect.forkScoped
    )
    yield* Queue.take(greetings)
    yield* client.snapshot([])
    // What an older edge does not know is not asked.
    assert.isNull(yield* client.measure)
    assert.deepStrictEqual(edge.versions(), [protocolVersion, protocolVersion - 1])
    edge.replace(protocolVersion)
    yield* Queue.take(greetings)
    yield* client.snapshot([])
    assert.strictEqual(edge.versions().at(-1), protocolVersion)
  }).pipe(Effect.scoped)
)

it.live("never greets as an ingress where it would be taken for the one that deploys", () =>
  Effect.gen(function* () {
    const edge = yield* edgeOf(protocolVersion - 1)
    const client = EdgeClient.make("ingress", { socket: edge.socket, appsPort: 0 })
    const observed = yield* client.attach(7).pipe(Stream.take(2), Stream.runCollect)
    assert.deepStrictEqual([...new Set(observed.map(({ type }) => type))], ["away"])
    assert.deepStrictEqual([...new Set(edge.versions())], [protocolVersion])
    const exit = yield* Effect.exit(client.snapshot([]))
    assert.isTrue(Exit.isFailure(exit))
    assert.deepStrictEqual([...new Set(edge.roles())], ["ingress"])
  }).pipe(Effect.scoped)
)

const hello = {
  type: "hello",
  pid: 1,
  revision: 0,
  nodeKey: "",
  appsPort: 0,
  problem: null,
  isolation: {
    level: "plain",
    network: false,
    limits: { memory: false, cpu: false, pids: false },
    notes: []
  }
} as const

const decode = Schema.decodeUnknownSync(Schema.Union([ControlHello, Snapshot]))
