/** A vault in memory, for tests: what it seals is a ticket, and the values stay with its world. */
import { createHash, randomUUID } from "node:crypto"
import { Vault, VaultError } from "@deploy-mcp/domain/Vault"
import { Context, Effect, Layer, Redacted } from "effect"

/** What outlives an instance: each value under its ticket, with the context that it is bound to. */
export class VaultWorld extends Context.Service<
  VaultWorld,
  {
    readonly salt: string
    readonly sealed: Map<string, { readonly value: string; readonly context: string }>
  }
>()("@deploy-mcp/providers/VaultWorld") {
  static readonly layer = Layer.sync(VaultWorld, () => ({ salt: randomUUID(), sealed: new Map() }))
}

export const provider: Layer.Layer<Vault, never, VaultWorld> = Layer.effect(
  Vault,
  Effect.map(VaultWorld, ({ salt, sealed }) =>
    Vault.of({
      seal: (value, context) =>
        Effect.sync(() => {
          const ticket = `memory.${randomUUID()}`
          sealed.set(ticket, { value: Redacted.value(value), context })
          return ticket
        }),
      open: (ticket, context) =>
        Effect.suspend(() => {
          const held = sealed.get(ticket)
          return held?.context === context
            ? Effect.succeed(Redacted.make(held.value))
            : Effect.fail(new VaultError({ keyId: "memory" }))
        }),
      fingerprint: (value) =>
        Effect.sync(() =>
          createHash("sha256")
            .update(salt + Redacted.value(value))
            .digest("hex")
            .slice(0, 16)
        )
    })
  )
)

export const layer: Layer.Layer<Vault | VaultWorld> = Layer.provideMerge(provider, VaultWorld.layer)
