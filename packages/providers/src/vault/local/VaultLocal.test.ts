import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as VaultConformance from "@deploy-mcp/domain/conformance/VaultConformance"
import { Host } from "@deploy-mcp/domain/Provider"
import { Vault } from "@deploy-mcp/domain/Vault"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { VaultLocal } from "./VaultLocal.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "vault-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

const vaultIn = (directory: string, key: Option.Option<Redacted.Redacted> = Option.none()) => {
  const host = { directory, artifacts: directory, node: { bin: "", version: "" } }
  return Layer.build(VaultLocal.make({ key }).pipe(Layer.provide(Layer.succeed(Host, host)))).pipe(
    Effect.flatMap((context) => Effect.provideContext(Vault, context))
  )
}

const secret = Redacted.make("a value with ümlauts and 'quotes'")
const key = (byte: number) => Option.some(Redacted.make(Buffer.alloc(32, byte).toString("base64")))

VaultConformance.suite("local", VaultLocal.make({ key: Option.none() }), {
  world: Layer.effect(
    Host,
    Effect.map(folder, (directory) => ({
      directory,
      artifacts: directory,
      node: { bin: "", version: "" }
    }))
  ),
  stranger: VaultLocal.make({ key: key(7) })
})

describe("the local vault", () => {
  it.effect("opens what it sealed, also as a new instance on the same folder", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const sealed = yield* (yield* vaultIn(directory)).seal(secret, "variable a")
      const opened = yield* (yield* vaultIn(directory)).open(sealed, "variable a")
      assert.strictEqual(Redacted.value(opened), Redacted.value(secret))
      assert.notInclude(sealed, "quotes")
      assert.match(sealed, /^v1\.[0-9a-f]{8}\./)
    })
  )

  it.effect("never gives the same text twice, but the same fingerprint", () =>
    Effect.gen(function* () {
      const vault = yield* vaultIn(yield* folder)
      assert.notStrictEqual(yield* vault.seal(secret, "a"), yield* vault.seal(secret, "a"))
      assert.strictEqual(yield* vault.fingerprint(secret), yield* vault.fingerprint(secret))
    })
  )

  it.effect("refuses another row's value, a changed value and another key", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const vault = yield* vaultIn(directory, key(1))
      const sealed = yield* vault.seal(secret, "variable a")
      const last = sealed.at(-1) === "A" ? "B" : "A"
      const other = yield* vaultIn(directory, key(2))
      for (const attempt of [
        vault.open(sealed, "variable b"),
        vault.open(sealed.slice(0, -2) + last + sealed.slice(-1), "variable a"),
        vault.open("nonsense", "variable a"),
        other.open(sealed, "variable a")
      ]) {
        const error = yield* Effect.flip(attempt)
        assert.strictEqual(error._tag, "VaultError")
      }
    })
  )

  it.effect("keeps its key in a file that only the owner reads", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      yield* vaultIn(directory)
      assert.deepStrictEqual(readdirSync(directory), ["vault.key"])
      assert.strictEqual(statSync(join(directory, "vault.key")).mode & 0o777, 0o600)
    })
  )

  it.effect("does not start with a key of the wrong length", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      writeFileSync(join(directory, "vault.key"), "c2hvcnQ=")
      const exit = yield* Effect.exit(vaultIn(directory))
      assert.isTrue(Exit.isFailure(exit))
    })
  )
})
