import { X509Certificate } from "node:crypto"
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Certificates } from "@deploy-mcp/domain/Certificates"
import * as CertificatesConformance from "@deploy-mcp/domain/conformance/CertificatesConformance"
import { RecordName } from "@deploy-mcp/domain/model/DnsRecord"
import { Host } from "@deploy-mcp/domain/Provider"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { handshake } from "../Handshake.ts"
import { LocalCa } from "./LocalCa.ts"

const folder = (prepare: (directory: string) => void = () => {}) =>
  Layer.effect(
    Host,
    Effect.acquireRelease(
      Effect.sync(() => {
        const directory = mkdtempSync(join(tmpdir(), "local-ca-"))
        prepare(directory)
        return { directory, artifacts: directory, node: { bin: "", version: "" } }
      }),
      ({ directory }) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
  )
const provider = LocalCa.make({})
const secret = "this-is-a-key-that-nobody-may-see"

CertificatesConformance.suite("local-ca", provider, {
  world: folder(),
  handshake,
  keys: Host.useSync(({ directory }) => {
    const leaves = join(directory, "leaves")
    return existsSync(leaves) ? readdirSync(leaves).length : 0
  }),
  broken: {
    layer: Layer.provide(
      provider,
      folder((directory) => writeFileSync(join(directory, "root.pem"), secret))
    ),
    secrets: [secret]
  }
})

const ensure = (name: string) =>
  Certificates.use(({ ensure }) => ensure([RecordName.make(name)])).pipe(
    Effect.provide(Layer.fresh(provider), { local: true })
  )
const roots = Certificates.use(({ roots }) => roots).pipe(
  Effect.provide(Layer.fresh(provider), { local: true })
)
const inFolder = (name: string) => Host.useSync(({ directory }) => join(directory, name))
const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8)

describe("the local authority", () => {
  it.effect("keeps keys to its owner and shows its root to everybody", () =>
    Effect.gen(function* () {
      yield* ensure("modes.test")
      const leaves = yield* inFolder("leaves")
      const [leaf = ""] = readdirSync(leaves)
      assert.strictEqual(modeOf(join(leaves, leaf)), "600")
      assert.strictEqual(modeOf(yield* inFolder("root.pem")), "600")
      const shown = yield* inFolder("root.crt")
      assert.strictEqual(modeOf(shown), "644")
      assert.deepEqual([readFileSync(shown, "utf8")], yield* roots)
      assert.notInclude(readFileSync(shown, "utf8"), "PRIVATE")
    }).pipe(Effect.provide(folder()))
  )

  it.effect("has one root, also when several processes make it at once", () =>
    Effect.gen(function* () {
      const all = yield* Effect.all(
        Array.from({ length: 6 }, () => roots),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(all.flat()).size, 1)
      rmSync(yield* inFolder("root.crt"))
      assert.deepEqual(yield* roots, all[0])
      assert.isTrue(existsSync(yield* inFolder("root.crt")), "shown again")
    }).pipe(Effect.provide(folder()))
  )

  it.effect("signs what RFC 5280 wants of a server's certificate", () =>
    Effect.gen(function* () {
      const leaf = new X509Certificate((yield* ensure("*.rfc.test")).chain)
      const root = new X509Certificate((yield* roots)[0] ?? "")
      assert.isTrue(root.ca)
      assert.isTrue(root.checkIssued(root))
      assert.isFalse(leaf.ca)
      assert.isTrue(leaf.checkIssued(root))
      assert.strictEqual(leaf.subjectAltName, "DNS:*.rfc.test")
      assert.isNotOk(leaf.subject, "names are in the SAN alone")
      assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"], "for servers alone")
      assert.match(leaf.serialNumber, /^[4-7][0-9A-F]{31}$/u)
      const days = (leaf.validToDate.getTime() - leaf.validFromDate.getTime()) / 86_400_000
      assert.strictEqual(days, 90)
    }).pipe(Effect.provide(folder()))
  )

  it.effect("makes a damaged certificate anew, and never a damaged root", () =>
    Effect.gen(function* () {
      const first = yield* ensure("damaged.test")
      const leaves = yield* inFolder("leaves")
      truncateSync(join(leaves, readdirSync(leaves)[0] ?? ""), 300)
      const second = yield* ensure("damaged.test")
      assert.notStrictEqual(second.chain, first.chain)
      const root = yield* inFolder("root.pem")
      truncateSync(root, 300)
      const left = readFileSync(root, "utf8")
      const error = yield* Effect.flip(ensure("damaged.test"))
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.strictEqual(readFileSync(root, "utf8"), left)
    }).pipe(Effect.provide(folder()))
  )

  it.effect("does not serve what somebody put in another certificate's place", () =>
    Effect.gen(function* () {
      const leaves = yield* inFolder("leaves")
      const files = () => readdirSync(leaves).map((file) => join(leaves, file))
      yield* ensure("other.test")
      const [other = ""] = files()
      yield* ensure("mine.test")
      const mine = files().find((file) => file !== other) ?? ""
      copyFileSync(other, mine)
      const { chain } = yield* ensure("mine.test")
      assert.strictEqual(new X509Certificate(chain).subjectAltName, "DNS:mine.test")
    }).pipe(Effect.provide(folder()))
  )

  it.effect("replaces a root that ends before what it would sign, and what it signed", () =>
    Effect.gen(function* () {
      const [first = ""] = yield* roots
      yield* TestClock.adjust("3500 days")
      const before = yield* ensure("ending.test")
      assert.deepEqual(yield* roots, [first])
      yield* TestClock.adjust("70 days")
      const after = yield* ensure("ending.test")
      const [second = ""] = yield* roots
      assert.notStrictEqual(second, first)
      const issuer = new X509Certificate(second)
      assert.isFalse(new X509Certificate(before.chain).verify(issuer.publicKey))
      assert.isTrue(new X509Certificate(after.chain).verify(issuer.publicKey))
    }).pipe(Effect.provide(folder()))
  )
})
