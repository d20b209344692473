/**
 * What "implements Vault" means:
 *
 *     VaultConformance.suite("mine", layer, { world })
 */
import { assert, layer as withLayer } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Redacted } from "effect"
import { Vault, type VaultError } from "../Vault.ts"

export interface VaultWorld<W> {
  /** What outlives an instance of the provider, its key above all. Made once for the suite. */
  readonly world: Layer.Layer<W, unknown>
  /** Another vault, with another key. */
  readonly stranger: Layer.Layer<Vault, unknown, W>
}

const secrets = [
  "a value with ümlauts and 'quotes'",
  "",
  "x".repeat(100_000),
  "\u0000\n\ud83d\ude80"
]

export const suite = <W>(
  name: string,
  provider: Layer.Layer<Vault, unknown, W>,
  { world, stranger }: VaultWorld<W>
): void => {
  const through =
    (layer: Layer.Layer<Vault, unknown, W>) =>
    <A, E>(use: Effect.Effect<A, E, Vault>) =>
      Effect.provide(use, Layer.fresh(layer), { local: true })
  const instance = through(provider)
  const seal = (value: string, context = "row 1") =>
    Vault.use((vault) => vault.seal(Redacted.make(value), context))
  const open = (sealed: string, context = "row 1") =>
    Effect.map(
      Vault.use((vault) => vault.open(sealed, context)),
      Redacted.value
    )
  const fingerprint = (value: string) =>
    Vault.use((vault) => vault.fingerprint(Redacted.make(value)))

  withLayer(world, { excludeTestServices: true })(`${name} is a Vault`, (it) => {
    it.effect.each(secrets)("a new instance opens what another one sealed: %#", (secret) =>
      Effect.gen(function* () {
        const sealed = yield* instance(seal(secret))
        assert.strictEqual(yield* instance(open(sealed)), secret)
        assert.isTrue(secret === "" || !sealed.includes(secret), "the sealed text is not the value")
      })
    )

    it.effect("never seals the same value to the same text", () =>
      Effect.gen(function* () {
        const sealed = yield* instance(Effect.all([seal("same"), seal("same")]))
        assert.notStrictEqual(sealed[0], sealed[1])
      })
    )

    it.effect(
      "refuses another row, a changed text, nonsense and another key, without a secret",
      () =>
        Effect.gen(function* () {
          const secret = "what-nobody-may-see"
          const sealed = yield* instance(seal(secret))
          const last = sealed.slice(-5, -4) === "A" ? "B" : "A"
          const changed = sealed.slice(0, -5) + last + sealed.slice(-4)
          yield* refuses(instance(open(sealed, "row 2")), secret)
          yield* refuses(instance(open(changed)), secret)
          for (const text of ["", "nonsense", sealed.slice(0, -8), `${sealed}.x`]) {
            yield* refuses(instance(open(text)), secret)
          }
          yield* refuses(through(stranger)(open(sealed)), secret)
        })
    )

    it.effect("gives equal values equal fingerprints, over instances, and strangers others", () =>
      Effect.gen(function* () {
        const one = yield* instance(fingerprint("one"))
        assert.strictEqual(yield* instance(fingerprint("one")), one)
        assert.notStrictEqual(yield* instance(fingerprint("two")), one)
        assert.notStrictEqual(yield* through(stranger)(fingerprint("one")), one)
      })
    )
  })
}

const refuses = <E, R>(opening: Effect.Effect<string, E | VaultError, R>, secret: string) =>
  Effect.map(Effect.exit(opening), (exit) => {
    assert(Exit.isFailure(exit), "it opens")
    assert.isTrue(exit.cause.reasons.every(Cause.isFailReason), "a typed failure, not a defect")
    assert.notInclude(Cause.pretty(exit.cause) + JSON.stringify(exit), secret)
  })
