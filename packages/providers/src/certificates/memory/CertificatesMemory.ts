/** A certificate authority without a disk, for tests: its certificates are real, its root is trusted by nobody. */
import {
  type CertificateNames,
  Certificates,
  refusal,
  sortedNames
} from "@deploy-mcp/domain/Certificates"
import { Clock, Context, Effect, Layer, Semaphore } from "effect"
import { SecureRandom } from "effect/crypto"
import * as Authority from "../Authority.ts"

/** What tests look at; it outlives the provider as a disk does. */
export class CertificatesWorld extends Context.Service<
  CertificatesWorld,
  { root: Authority.KeyPair | null; readonly leaves: Map<string, Authority.KeyPair> }
>()("@deploy-mcp/providers/CertificatesWorld") {
  static readonly layer = Layer.sync(CertificatesWorld, () => ({ root: null, leaves: new Map() }))
}

export const layer: Layer.Layer<Certificates, never, CertificatesWorld> = Layer.effect(
  Certificates,
  Effect.gen(function* () {
    const world = yield* CertificatesWorld
    const random = yield* SecureRandom.SecureRandom
    const turn = Semaphore.makeUnsafe(1)
    const withRandom = Effect.provideService(SecureRandom.SecureRandom, random)

    const root = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      if (world.root === null || Authority.isEnding(world.root, now)) {
        world.root = yield* Authority.newRoot
      }
      return world.root
    })
    return {
      ensure: (names) =>
        Effect.gen(function* () {
          const refused = refusal(names)
          if (refused !== null) return yield* refused
          const signer = yield* root
          const now = yield* Clock.currentTimeMillis
          const known = world.leaves.get(keyOf(names))
          const isGood = known !== undefined && Authority.isGood(known, signer, names, now)
          const leaf = isGood ? known : yield* Authority.issue(signer, names)
          world.leaves.set(keyOf(names), leaf)
          return Authority.answerOf(leaf)
        }).pipe(withRandom, turn.withPermit),
      remove: (names) => Effect.sync(() => void world.leaves.delete(keyOf(names))),
      roots: Effect.map(root, ({ certificate }) => [certificate]).pipe(withRandom, turn.withPermit)
    }
  })
).pipe(Layer.provide(SecureRandom.layerWebCrypto))

const keyOf = (names: CertificateNames) => sortedNames(names).join(" ")
