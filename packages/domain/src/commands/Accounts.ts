/** Who is asking, and the keys they ask with. */
import { Context, type Effect, type Redacted, Schema } from "effect"
import type { CommandError } from "../Failure.ts"
import type { IdempotencyKey, ProjectName } from "../model/Names.ts"
import { type Principal, type PrincipalData, Scope } from "../model/Principal.ts"

type Command<A> = Effect.Effect<A, CommandError, Principal>

export const KeyView = Schema.Struct({
  name: Schema.String,
  /** `dk_live_` and the public prefix; never the secret. */
  prefix: Schema.String,
  scopes: Schema.Array(Scope),
  project: Schema.NullOr(Schema.String),
  expires_at: Schema.NullOr(Schema.String),
  last_used_at: Schema.NullOr(Schema.String),
  revoked: Schema.Boolean
})
export type KeyView = typeof KeyView.Type

export const WhoAmI = Schema.Struct({
  owner: Schema.String,
  key: KeyView,
  projects: Schema.Array(Schema.String),
  git_host: Schema.String,
  services: Schema.Int,
  /** How services are fenced here and which limits bite, in plain sentences. */
  platform: Schema.Array(Schema.String),
  next: Schema.String
})
export type WhoAmI = typeof WhoAmI.Type

export const ProjectView = Schema.Struct({ name: Schema.String, services: Schema.Int })
export type ProjectView = typeof ProjectView.Type

export class Accounts extends Context.Service<
  Accounts,
  {
    /** The principal behind a key; `unauthorized` when it is unknown, expired or revoked. */
    readonly authenticate: (key: Redacted.Redacted) => Effect.Effect<PrincipalData, CommandError>
    readonly whoami: Command<WhoAmI>
    /** Mints a key with at most the caller's own scopes, project and life. The secret is shown once. */
    readonly createKey: (input: {
      readonly name: string
      readonly scopes?: ReadonlyArray<Scope>
      readonly project?: ProjectName
      readonly expiresInDays?: number
    }) => Command<{ readonly key: KeyView; readonly secret: string }>
    /** Those that the key may see. */
    readonly listProjects: Command<ReadonlyArray<ProjectView>>
    /** Makes a project; one that is there already answers `created: false`. */
    readonly ensureProject: (input: {
      readonly name: ProjectName
      readonly idempotencyKey?: IdempotencyKey
    }) => Command<{ readonly name: string; readonly created: boolean }>
    readonly listKeys: Command<ReadonlyArray<KeyView>>
    /** Takes effect at once, everywhere. Succeeds also when it was revoked before. */
    readonly revokeKey: (input: { readonly name: string }) => Command<KeyView>
  }
>()("@deploy-mcp/domain/commands/Accounts") {}
