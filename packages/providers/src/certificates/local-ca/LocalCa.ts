/** A certificate authority for development, on this machine: trusted by whoever is given its root. */
import { Certificates, CertificatesError, refusal } from "@deploy-mcp/domain/Certificates"
import { Unavailable } from "@deploy-mcp/domain/Fault"
import { Host, make } from "@deploy-mcp/domain/Provider"
import { Clock, Config, Effect, Layer, Semaphore } from "effect"
import { SecureRandom } from "effect/crypto"
import * as Authority from "../Authority.ts"
import * as Store from "./Store.ts"

const config = Config.all({})

const layer = () =>
  Layer.effect(
    Certificates,
    Effect.gen(function* () {
      const { directory } = yield* Host
      const random = yield* SecureRandom.SecureRandom
      const store = Store.open(directory)
      const turn = Semaphore.makeUnsafe(1)
      const alone = <A>(
        effect: Effect.Effect<A, CertificatesError, SecureRandom.SecureRandom>
      ): Effect.Effect<A, CertificatesError> =>
        effect.pipe(Effect.provideService(SecureRandom.SecureRandom, random), turn.withPermit)

      const root = Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const known = yield* attempt("root.pem", store.root)
        if (known !== null && !Authority.isEnding(known, now)) return known
        const next = yield* Authority.newRoot
        const keep = known === null ? store.addRoot : store.replaceRoot
        return yield* attempt("root.pem", () => keep(next))
      })

      return {
        ensure: (names) =>
          alone(
            Effect.gen(function* () {
              const refused = refusal(names)
              if (refused !== null) return yield* refused
              const signer = yield* root
              const now = yield* Clock.currentTimeMillis
              const known = yield* attempt("leaves", () => store.leaf(names))
              if (known !== null && Authority.isGood(known, signer, names, now)) {
                return Authority.answerOf(known)
              }
              const leaf = yield* Authority.issue(signer, names)
              yield* attempt("leaves", () => store.putLeaf(names, leaf))
              return Authority.answerOf(leaf)
            })
          ),
        remove: (names) => alone(attempt("leaves", () => store.removeLeaf(names))),
        roots: alone(Effect.map(root, ({ certificate }) => [certificate]))
      }
    })
  ).pipe(Layer.provide(SecureRandom.layerWebCrypto))

/** What went wrong may hold a path or a piece of a key, so that only the file's name is passed on. */
const attempt = <A>(name: string, use: () => A) =>
  Effect.try({
    try: use,
    catch: () =>
      new CertificatesError({
        reason: new Unavailable({ detail: `${name} of the local authority cannot be used.` })
      })
  })

export const LocalCa = make({
  id: "local-ca",
  service: Certificates,
  summary: "A development authority on this machine, whose root you trust by hand.",
  config,
  make: layer
})
