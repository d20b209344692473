/** Values at rest. What it returns may be stored anywhere; what it takes may be stored nowhere else. */
import { Context, type Effect, type Redacted, Schema } from "effect"

/** A sealed value was made under a key that this platform does not have, or it was changed. */
export class VaultError extends Schema.TaggedError<VaultError>()("VaultError", {
  keyId: Schema.String
}) {}

export class Vault extends Context.Service<
  Vault,
  {
    /** AES-256-GCM under the current key; `context` is bound to it and must be given again to open. */
    readonly seal: (value: Redacted.Redacted, context: string) => Effect.Effect<string>
    readonly open: (sealed: string, context: string) => Effect.Effect<Redacted.Redacted, VaultError>
    /** Equal for equal values and useless without the key: for comparing and for showing. */
    readonly fingerprint: (value: Redacted.Redacted) => Effect.Effect<string>
  }
>()("@deploy-mcp/domain/Vault") {}
