/** Who called what, and how it ended. Never with the arguments: they may hold secrets. */
import { Context, Effect } from "effect"

export interface AuditEntry {
  /** When it ended, in milliseconds since 1970. */
  readonly at: number
  readonly tool: string
  /** `ok`, `interrupted`, or the code of the failure. */
  readonly outcome: string
  readonly millis: number
  readonly owner: string
  /** The id of the key, not its secret. */
  readonly key: string
}

/** Where calls are written down; without one they are not. Must neither fail nor take long. */
export const Audit = Context.Reference<{
  readonly record: (entry: AuditEntry) => Effect.Effect<void>
}>("@deploy-mcp/mcp/Audit", { defaultValue: () => ({ record: () => Effect.void }) })
