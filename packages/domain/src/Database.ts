/** A service gets its database: one for each resource, with credentials that open nothing else. */
import { Context, type Effect, type Redacted, Schema } from "effect"
import { Failure } from "./Failure.ts"
import { Fault, Rejected, Unsupported } from "./Fault.ts"
import type { DatabaseRef, Resource } from "./model/Resource.ts"

export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  reason: Fault
}) {
  get isRetryable() {
    return this.reason.isRetryable
  }
}

export class Database extends Context.Service<
  Database,
  {
    /**
     * Makes the resource's database and its login, or mends them and leaves the data and the password
     * as they are. `Unsupported` when the backend has none of this kind.
     */
    readonly ensure: (resource: Resource) => Effect.Effect<DatabaseRef, DatabaseError>
    /**
     * What a service connects with, the password included: asked for when a release starts, never
     * stored. It stays the same until `rotate`. `Rejected` when the resource was not made.
     */
    readonly url: (resource: Resource) => Effect.Effect<Redacted.Redacted, DatabaseError>
    /**
     * Makes a new password; the old one opens nothing from then on, and sessions that are open go on.
     * `Rejected` when the resource was not made.
     */
    readonly rotate: (resource: Resource) => Effect.Effect<void, DatabaseError>
    /**
     * Removes the database with all its data and its login, and ends the sessions that use it.
     * Succeeds also when there is nothing to remove.
     */
    readonly drop: (resource: Resource) => Effect.Effect<void, DatabaseError>
  }
>()("@deploy-mcp/domain/Database") {}

export const resourceMissing = ({ id }: Resource): DatabaseError =>
  new DatabaseError({
    reason: new Rejected({
      failure: Failure.of("not_found", `There is no database for ${id}.`, {
        next: "Create the database first."
      })
    })
  })

export const kindUnsupported = ({ kind }: Resource): DatabaseError =>
  new DatabaseError({ reason: new Unsupported({ feature: `databases of the kind ${kind}` }) })
