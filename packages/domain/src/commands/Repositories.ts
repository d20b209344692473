/** What callers may ask of repositories. */
import { Context, type Effect, Schema } from "effect"
import type { CommandError } from "../Failure.ts"
import type { IdempotencyKey, RepositoryName, RepositoryRef } from "../model/Names.ts"
import type { Principal } from "../model/Principal.ts"

type Command<A> = Effect.Effect<A, CommandError, Principal>

export const RepositoryView = Schema.Struct({
  /** `host/owner/name` */
  repo: Schema.String,
  name: Schema.String,
  description: Schema.String,
  /** Without credentials. */
  clone_url: Schema.String,
  created: Schema.Boolean,
  next: Schema.String
})
export type RepositoryView = typeof RepositoryView.Type

export const RepositorySummary = Schema.Struct({
  repo: RepositoryView.fields.repo,
  name: RepositoryView.fields.name,
  description: RepositoryView.fields.description,
  clone_url: RepositoryView.fields.clone_url,
  /** Those that deploy from it, as `project/name`. */
  services: Schema.Array(Schema.String)
})
export type RepositorySummary = typeof RepositorySummary.Type

export const GitTokenView = Schema.Struct({
  repo: Schema.String,
  /** `mlg_…`, shown once. */
  token: Schema.String,
  username: Schema.String,
  access: Schema.Literals(["read", "write"]),
  expires_at: Schema.String,
  /** With the credential in it: `git push <push_url> HEAD:main`. */
  push_url: Schema.String,
  /** Lines to run as they are. */
  commands: Schema.Array(Schema.String),
  next: Schema.String
})
export type GitTokenView = typeof GitTokenView.Type

export class Repositories extends Context.Service<
  Repositories,
  {
    /** Makes an empty repository; one that is there already answers `created: false`. */
    readonly create: (input: {
      readonly name: RepositoryName
      readonly host?: string
      readonly description?: string
      readonly idempotencyKey?: IdempotencyKey
    }) => Command<RepositoryView>
    /** All of the owner's, by name. */
    readonly list: Command<ReadonlyArray<RepositorySummary>>
    /**
     * Removes a repository with its commits, for good. Refused with `repository_in_use` while services
     * follow it. Succeeds also when there is no such repository.
     */
    readonly remove: (input: {
      readonly name: RepositoryRef
      readonly host?: string
      readonly idempotencyKey?: IdempotencyKey
    }) => Command<{ readonly removed: boolean; readonly name: string; readonly next: string }>
    /** A temporary credential for one repository. */
    readonly token: (input: {
      readonly name: RepositoryRef
      readonly host?: string
      readonly access: "read" | "write"
    }) => Command<GitTokenView>
  }
>()("@deploy-mcp/domain/commands/Repositories") {}
