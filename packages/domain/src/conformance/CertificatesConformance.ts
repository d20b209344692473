/**
 * What "implements Certificates" means. A provider's test needs one call:
 *
 *     CertificatesConformance.suite("mine", layer, { world, handshake, keys })
 */
import { assert, layer as withLayer } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { type Certificate, type CertificateNames, Certificates } from "../Certificates.ts"
import { RecordName } from "../model/DnsRecord.ts"
import * as Laws from "./Laws.ts"

/** A server serves `certificate`, and a client that knows `roots` alone asks it for `host`. */
export interface Handshake {
  readonly certificate: Certificate
  readonly roots: ReadonlyArray<string>
  readonly host: string
}

export interface CertificatesWorld<W> {
  /** What outlives an instance of the provider: a folder, an authority. Made once for the suite. */
  readonly world: Layer.Layer<W, unknown>
  /** TLS for real, at the time that it really is. */
  readonly handshake: (
    given: Handshake
  ) => Effect.Effect<{ readonly isTrusted: boolean; readonly serial: string }, unknown, W>
  /** How many servers' private keys are kept, past the provider. */
  readonly keys: Effect.Effect<number, unknown, W>
  readonly unsupported?: ReadonlyArray<"wildcard">
  /** The provider on a wire that carries every change and loses its answer. */
  readonly deaf?: Layer.Layer<Certificates, unknown, W>
  /** The provider with a place or credentials that do not work, and what it must never tell. */
  readonly broken?: {
    readonly layer: Layer.Layer<Certificates, unknown, W>
    readonly secrets: string[]
  }
}

const day = 24 * 60 * 60 * 1000

export const suite = <W>(
  name: string,
  provider: Layer.Layer<Certificates, unknown, W>,
  { world, handshake, keys, unsupported = [], deaf, broken }: CertificatesWorld<W>
): void => {
  const through =
    (layer: Layer.Layer<Certificates, unknown, W>): Laws.Instance<Certificates, W> =>
    (use) =>
      Effect.provide(use, Layer.fresh(layer), { local: true })
  const instance = through(provider)
  const names = (first: string, ...more: ReadonlyArray<string>): CertificateNames => [
    RecordName.make(first),
    ...more.map((name) => RecordName.make(name))
  ]
  const ensure = (wanted: CertificateNames) => Certificates.use(({ ensure }) => ensure(wanted))
  const remove = (wanted: CertificateNames) => Certificates.use(({ remove }) => remove(wanted))
  const roots = Certificates.use(({ roots }) => roots)
  const shake = (certificate: Certificate, host: string) =>
    Effect.flatMap(roots, (roots) => handshake({ certificate, roots, host }))
  const trusts = (certificate: Certificate, host: string) =>
    Effect.map(shake(certificate, host), ({ isTrusted }) => isTrusted)
  const serial = (certificate: Certificate) =>
    Effect.map(shake(certificate, "any.test"), ({ serial }) => serial)
  /** Which certificate a server would serve for the names now. */
  const served = (wanted: CertificateNames) => Effect.flatMap(ensure(wanted), serial)

  withLayer(world, { excludeTestServices: true })(`${name} is a Certificates`, (it) => {
    it.effect("proves a name to clients that know the roots, and no other name", () =>
      instance(
        Effect.gen(function* () {
          const certificate = yield* ensure(names("one.conformance.test"))
          assert.isTrue(yield* trusts(certificate, "one.conformance.test"))
          for (const host of [
            "two.conformance.test",
            "conformance.test",
            "a.one.conformance.test"
          ]) {
            assert.isFalse(yield* trusts(certificate, host), host)
          }
          if ((yield* roots).length === 0) return
          const host = "one.conformance.test"
          const stranger = yield* handshake({ certificate, roots: [], host })
          assert.isFalse(stranger.isTrusted, "a client that was not given the roots")
        })
      )
    )

    it.effect("proves several names with one certificate", () => {
      const hosts = ["b.several.test", "a.several.test", "several.test"] as const
      return instance(
        Effect.gen(function* () {
          const certificate = yield* ensure(names(...hosts))
          for (const host of hosts) assert.isTrue(yield* trusts(certificate, host), host)
          assert.isFalse(yield* trusts(certificate, "c.several.test"))
        })
      )
    })

    if (unsupported.includes("wildcard")) {
      it.effect("says that it has no wildcards", () =>
        instance(Laws.isUnsupported(ensure(names("*.wild.test"))))
      )
    } else {
      it.effect("proves each name of one label below a wildcard", () =>
        instance(
          Effect.gen(function* () {
            const certificate = yield* ensure(names("*.wild.test"))
            for (const host of ["a.wild.test", "b-2.wild.test"]) {
              assert.isTrue(yield* trusts(certificate, host), host)
            }
            for (const host of ["wild.test", "a.b.wild.test", "awild.test", "a.wild.test.test"]) {
              assert.isFalse(yield* trusts(certificate, host), host)
            }
          })
        )
      )
    }

    it.effect("rejects a wildcard over a top-level domain", () =>
      instance(Laws.isRejected(ensure(names("one.wide.test", "*.test"))))
    )

    it.effect("gives one certificate again and again, in whatever order the names are", () =>
      Effect.gen(function* () {
        const wanted = names("a.again.test", "b.again.test")
        const turned = names("b.again.test", "a.again.test", "b.again.test")
        const first = yield* instance(served(wanted))
        assert.strictEqual(yield* instance(served(wanted)), first)
        assert.strictEqual(yield* instance(served(turned)), first)
        assert.notStrictEqual(yield* instance(served(names("a.again.test"))), first)
      })
    )

    it.effect("makes one certificate when many ask at once", () => {
      const all = Array.from({ length: 8 }, () => served(names("many.test")))
      return Effect.gen(function* () {
        const before = yield* keys
        const serials = yield* instance(Effect.all(all, { concurrency: "unbounded" }))
        assert.strictEqual(new Set(serials).size, 1)
        assert.strictEqual(yield* keys, before + 1)
      })
    })

    it.effect("has a key of its own for each, which nothing prints", () =>
      instance(
        Effect.gen(function* () {
          const one = yield* ensure(names("one.keys.test"))
          const two = yield* ensure(names("two.keys.test"))
          const key = Redacted.value(one.key)
          assert.match(key, /^-----BEGIN PRIVATE KEY-----/u)
          assert.notStrictEqual(key, Redacted.value(two.key))
          assert.notInclude(JSON.stringify(one), "PRIVATE")
          assert.notInclude(one.chain, "PRIVATE")
        })
      )
    )

    it.effect("forgets a key, and makes another one when it is asked again", () => {
      const wanted = names("removed.test")
      return Effect.gen(function* () {
        const before = yield* keys
        const first = yield* instance(served(wanted))
        assert.strictEqual(yield* keys, before + 1)
        yield* Laws.converges({ instance, change: remove(wanted), look: keys }, before)
        assert.notStrictEqual(yield* instance(served(wanted)), first)
        yield* instance(remove(names("never.removed.test")))
      })
    })

    it.effect("keeps a certificate for two thirds of its life and then renews it", () => {
      const wanted = names("renewed.test")
      return Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        yield* Effect.gen(function* () {
          yield* TestClock.setTime(now)
          const { notBefore, notAfter } = yield* instance(ensure(wanted))
          assert.isAtMost(notBefore, now)
          const first = yield* instance(served(wanted))
          const due = notAfter - (notAfter - notBefore) / 3
          yield* TestClock.setTime(due - 1000)
          assert.strictEqual(yield* instance(served(wanted)), first)
          yield* TestClock.setTime(due + 1000)
          const second = yield* instance(served(wanted))
          assert.notStrictEqual(second, first)
          assert.strictEqual(yield* instance(served(wanted)), second)
        }).pipe(Effect.provide(TestClock.layer()))
      })
    })

    it.effect("replaces one that has expired by one that clients accept", () => {
      const wanted = names("expired.test")
      return Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        yield* Effect.gen(function* () {
          // A client looks at the clock on the wall, so that the past is when it was made.
          yield* TestClock.setTime(now - 400 * day)
          const old = yield* instance(ensure(wanted))
          assert.isBelow(old.notAfter, now)
          yield* TestClock.setTime(now)
          assert.isFalse(yield* instance(trusts(old, "expired.test")), "it has expired")
          const renewed = yield* instance(ensure(wanted))
          assert.isTrue(yield* instance(trusts(renewed, "expired.test")))
        }).pipe(Effect.provide(TestClock.layer()))
      })
    })

    it.effect("leaves no half of a certificate when it is interrupted", () => {
      const wanted = names("cut.test")
      return Effect.gen(function* () {
        yield* Laws.leavesNothingHalfMade(
          { instance, change: ensure(wanted), look: keys },
          remove(wanted)
        )
        const certificate = yield* instance(ensure(wanted))
        assert.isTrue(yield* instance(trusts(certificate, "cut.test")))
      })
    })

    if (deaf !== undefined) {
      it.effect("completes a change whose answer was lost", () => {
        const wanted = names("deaf.test")
        return Effect.gen(function* () {
          const before = yield* keys
          const making = { instance, change: ensure(wanted), look: keys }
          yield* Laws.survivesLostReply(making, through(deaf), before + 1)
          const removing = { instance, change: remove(wanted), look: keys }
          yield* Laws.survivesLostReply(removing, through(deaf), before)
        })
      })
    }

    if (broken !== undefined) {
      it.effect("tells no secret when it fails", () => {
        const wanted = names("broken.test")
        return Effect.forEach([Effect.asVoid(ensure(wanted)), Effect.asVoid(roots)], (attempt) =>
          Laws.failsWithoutSecrets(through(broken.layer)(attempt), broken.secrets)
        )
      })
    }
  })
}
