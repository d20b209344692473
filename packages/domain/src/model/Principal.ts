/** Who is asking. Every command takes one; doors make it from a key. */
import { Context, Effect, Schema } from "effect"
import { refuse } from "../Failure.ts"
import { KeyId, OwnerId, ProjectId, UserId } from "./Ids.ts"
import { OwnerName } from "./Names.ts"

/** Verbs a key may be limited to. A key can only mint keys with a subset of its own. */
export const Scope = Schema.Literals([
  "services:read",
  "services:deploy",
  "services:delete",
  "repositories:read",
  "repositories:write",
  "repositories:delete",
  "variables:read",
  "keys:manage"
])
export type Scope = typeof Scope.Type
export const allScopes: ReadonlyArray<Scope> = Scope.literals

export const PrincipalData = Schema.Struct({
  owner: OwnerId,
  ownerName: OwnerName,
  user: UserId,
  key: KeyId,
  scopes: Schema.Array(Scope),
  /** Set when the key works in one project only. */
  project: Schema.NullOr(ProjectId)
})
export type PrincipalData = typeof PrincipalData.Type

export class Principal extends Context.Service<Principal, PrincipalData>()(
  "@deploy-mcp/domain/Principal"
) {}

/** Fails with `forbidden` unless the principal's key carries `scope`. */
export const requireScope = (scope: Scope) =>
  Effect.flatMap(Principal, (principal) =>
    principal.scopes.includes(scope)
      ? Effect.void
      : Effect.fail(
          refuse("forbidden", `This key does not have the scope '${scope}'.`, {
            evidence: [`scopes of this key: ${principal.scopes.join(", ")}`]
          })
        )
  )
