import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as DnsConformance from "@deploy-mcp/domain/conformance/DnsConformance"
import { Dns } from "@deploy-mcp/domain/Dns"
import { DnsRecord, DomainName, Ipv4, RecordName, Text } from "@deploy-mcp/domain/model/DnsRecord"
import { Host } from "@deploy-mcp/domain/Provider"
import { assert, layer } from "@effect/vitest"
import * as Packet from "dns-packet"
import { Context, Effect, Layer, Schema } from "effect"
import { ask, exchange, textOf } from "../Ask.ts"
import { DnsEmbedded } from "./DnsEmbedded.ts"

/** Where the server of this test listens. */
class Port extends Context.Service<Port, { readonly port: number }>()("test/Port") {}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "dns-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

const world = Layer.effectContext(
  Effect.gen(function* () {
    const directory = yield* folder
    const host = { directory, artifacts: directory, node: { bin: "", version: "" } }
    return Context.make(Host, host).pipe(Context.add(Port, { port: yield* freePort }))
  })
)

const provider = Layer.unwrap(
  Port.use(({ port }) => Effect.succeed(DnsEmbedded.make({ address: "127.0.0.1", port })))
)

const question = (name: string, type: Packet.RecordType, transport: "udp" | "tcp" = "udp") =>
  Port.use(({ port }) => ask({ server: "127.0.0.1", port, name, type, transport }))

DnsConformance.suite("embedded", provider, {
  world,
  observe: ({ name, type, transport }) =>
    Effect.map(question(name, type, transport), ({ code, answers }) => ({
      code,
      values: answers.filter((answer) => answer.type === type).map(textOf)
    }))
})

const zone = DomainName.make("apps.example.test")
const record = Schema.decodeUnknownSync(DnsRecord)
const put = (type: string, label: string, ...values: ReadonlyArray<unknown>) =>
  Dns.use((dns) => dns.put(zone, record({ type, name: `${label}.${zone}`, ttl: 60, values })))

const zoneWithRecords = Effect.gen(function* () {
  const nameServers = [DomainName.make("ns1.example.test")] as const
  const addresses = [Ipv4.make("192.0.2.1")] as const
  yield* Dns.use((dns) => dns.ensureZone({ name: zone, nameServers, addresses, ttl: 60 }))
  yield* put("NS", "child", `ns.child.${zone}`)
  yield* put("A", "ns.child", "192.0.2.53")
  yield* put("CNAME", "alias", `target.${zone}`)
  yield* put("CNAME", "loop", `loop.${zone}`)
  yield* put("CNAME", "out", "elsewhere.test")
  yield* put("A", "target", "192.0.2.80")
  yield* put("TXT", "big", ...Array.from({ length: 8 }, (_, n) => `${n}${"x".repeat(200)}`))
})

const raw = (message: Uint8Array, transport: "udp" | "tcp" = "udp") =>
  Port.use(({ port }) =>
    Effect.map(exchange({ server: "127.0.0.1", port, transport }, message), (reply) => ({
      code: reply.readUInt16BE(2) & 15,
      reply
    }))
  )

const encoded = (more: Partial<Packet.Packet>) =>
  Packet.encode({
    type: "query",
    id: 7,
    questions: [{ type: "A", name: `www.${zone}`, class: "IN" }],
    ...more
  })

const served = provider.pipe(Layer.provideMerge(world))

layer(served, { excludeTestServices: true })("the embedded name server", (it) => {
  it.effect("refers below a cut to the child's servers, with their addresses", () =>
    Effect.gen(function* () {
      yield* zoneWithRecords
      for (const name of [`child.${zone}`, `deep.child.${zone}`, `ns.child.${zone}`]) {
        const told = yield* question(name, "A")
        assert.strictEqual(told.code, "NOERROR")
        assert.isFalse(told.authoritative)
        assert.deepEqual(told.answers, [])
        assert.deepEqual(told.authorities.map(textOf), [`ns.child.${zone}`])
        assert.deepEqual(told.additionals.filter(({ type }) => type === "A").map(textOf), [
          "192.0.2.53"
        ])
      }
    })
  )

  it.effect("follows an alias inside the zone, and stops at a loop and at the zone's end", () =>
    Effect.gen(function* () {
      yield* zoneWithRecords
      const told = yield* question(`alias.${zone}`, "A")
      assert.deepEqual(told.answers.map(textOf), [`target.${zone}`, "192.0.2.80"])
      assert.isAtMost((yield* question(`loop.${zone}`, "A")).answers.length, 8)
      assert.deepEqual((yield* question(`out.${zone}`, "A")).answers.map(textOf), [
        "elsewhere.test"
      ])
    })
  )

  it.effect("cuts what UDP cannot carry, and says all of it over TCP", () =>
    Effect.gen(function* () {
      yield* zoneWithRecords
      const short = yield* question(`big.${zone}`, "TXT")
      assert.isTrue(short.truncated)
      assert.deepEqual(short.answers, [])
      const whole = yield* question(`big.${zone}`, "TXT", "tcp")
      assert.isFalse(whole.truncated)
      assert.lengthOf(whole.answers, 8)
    })
  )

  it.effect("compares without regard to case and repeats the question's own", () =>
    Effect.gen(function* () {
      yield* zoneWithRecords
      const asked = "TaRgEt.ApPs.eXaMpLe.test"
      const told = yield* question(asked, "A")
      assert.deepEqual(
        told.answers.map((answer) => [answer.name, textOf(answer)]),
        [[asked, "192.0.2.80"]]
      )
    })
  )

  it.effect("says for how long an absence may be remembered", () =>
    Effect.gen(function* () {
      yield* zoneWithRecords
      const told = yield* question(`x.target.${zone}`, "A")
      assert.strictEqual(told.code, "NXDOMAIN")
      assert.isTrue(told.authoritative)
      assert.deepEqual(
        told.authorities.map(({ type, name }) => [type, name]),
        [["SOA", `${zone}`]]
      )
    })
  )

  it.effect("refuses what is not its own, and gives no amplification to ANY", () =>
    Effect.gen(function* () {
      yield* zoneWithRecords
      assert.strictEqual((yield* question("example.org", "A")).code, "REFUSED")
      assert.strictEqual((yield* question("xapps.example.test", "A")).code, "REFUSED")
      const any = encoded({})
      any.writeUInt16BE(255, any.length - 4)
      assert.strictEqual(Packet.decode((yield* raw(any)).reply).answers?.length, 1)
    })
  )

  it.effect(
    "keeps to the size that was asked for, and refuses versions of EDNS it does not know",
    () =>
      Effect.gen(function* () {
        yield* zoneWithRecords
        const plain = yield* raw(
          encoded({ questions: [{ type: "TXT", name: `big.${zone}`, class: "IN" }] })
        )
        assert.isAtMost(plain.reply.length, 512)
        const odd = yield* raw(encoded({ additionals: [{ ...opt, ednsVersion: 1 }] }))
        const [back] = Packet.decode(odd.reply).additionals ?? []
        assert(back?.type === "OPT")
        assert.strictEqual(back.extendedRcode, 1)
      })
  )

  it.effect("answers nonsense with an error and goes on", () =>
    Effect.gen(function* () {
      yield* zoneWithRecords
      const query = encoded({})
      assert.strictEqual((yield* raw(query.subarray(0, 20))).code, 1)
      assert.strictEqual((yield* raw(encoded({ questions: [] }))).code, 1)
      assert.strictEqual((yield* raw(encoded({ flags: 2 << 11 }))).code, 4)
      const odd = encoded({ questions: [{ type: "A", name: `\u00e9.${zone}`, class: "IN" }] })
      assert.strictEqual((yield* raw(odd, "tcp")).code, 5)
      assert.strictEqual((yield* question(`target.${zone}`, "A", "tcp")).code, "NOERROR")
    })
  )

  it.effect("says nothing to an answer, so that two servers never talk to each other", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(raw(encoded({ type: "response" }), "tcp"))
      assert.include(error.detail, "closed")
    })
  )

  it.effect("hands out the same text after it has been sent", () =>
    Effect.gen(function* () {
      yield* zoneWithRecords
      yield* question(`big.${zone}`, "TXT", "tcp")
      const records = yield* Dns.use((dns) => dns.records(zone))
      const big = records.find(({ name }) => name === RecordName.make(`big.${zone}`))
      assert(big?.type === "TXT")
      assert.strictEqual(big.values[0], Text.make(`0${"x".repeat(200)}`))
    })
  )
})

const opt = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: []
} as const satisfies Partial<Packet.OptAnswer>
