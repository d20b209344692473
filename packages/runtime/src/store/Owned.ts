/**
 * Whose rows a statement is about. The tables of what belongs to owners are named by `ownedRows` alone, and it
 * asks for an owner's id, which comes with a principal or with a row, or for the right to see all.
 */
import type { OwnerId } from "@deploy-mcp/domain/model/Ids"
import { Context, Layer } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"

/** Tables of owners' rows. Each has `owner_id` but for phases, which belong to their deployment's owner. */
export const ownedTables = [
  "deployment_phases",
  "deployment_retries",
  "deployments",
  "hostnames",
  "idempotency",
  "keys",
  "projects",
  "releases",
  "repositories",
  "repository_tokens",
  "services",
  "stages",
  "users",
  "variables"
] as const
type Table = (typeof ownedTables)[number]

const brand = Symbol("every owner")

/** The right to see all owners' rows; there is one, and `EveryOwner` alone hands it out. */
export interface Everyone {
  readonly [brand]: true
}

export type Whose = OwnerId | Everyone

/**
 * For the platform's own work: workflows, publishers, reconciliation. Layers of commands do not get it, so
 * that a command which asks for it does not compile.
 */
export class EveryOwner extends Context.Service<EveryOwner, Everyone>()(
  "@deploy-mcp/runtime/EveryOwner"
) {
  static readonly layer = Layer.succeed(EveryOwner, { [brand]: true })
}

export interface OwnedRows {
  /** Stands where a statement names a table: the rows of it that are theirs, under its name. */
  readonly from: (table: Table) => Fragment
  /** `UPDATE`, `SET` and a `WHERE` that is true of theirs; goes on with `AND` or `RETURNING`. */
  readonly update: (table: Table, changes: Fragment) => Fragment
  /** `DELETE` and a `WHERE` that is true of theirs; goes on with `AND` or `RETURNING`. */
  readonly remove: (table: Table) => Fragment
}

export const ownedRows =
  (sql: SqlClient) =>
  (whose: Whose): OwnedRows => {
    const theirs = (table: Table): Fragment =>
      typeof whose !== "string"
        ? sql`TRUE`
        : table === "deployment_phases"
          ? sql`EXISTS (SELECT 1 FROM deployments
              WHERE deployments.id = deployment_phases.deployment_id AND deployments.owner_id = ${whose})`
          : sql`${sql.literal(table)}.owner_id = ${whose}`
    const name = (table: Table) => sql.literal(table)
    return {
      from: (table) =>
        typeof whose !== "string"
          ? name(table)
          : sql`(SELECT * FROM ${name(table)} WHERE ${theirs(table)}) AS ${name(table)}`,
      update: (table, changes) => sql`UPDATE ${name(table)} SET ${changes} WHERE ${theirs(table)}`,
      remove: (table) => sql`DELETE FROM ${name(table)} WHERE ${theirs(table)}`
    }
  }

/** Wraps layers that act for whoever asks: one that wants all owners' rows, or bare SQL, does not compile. */
export const forCallers = <A, E, R>(
  layer: Layer.Layer<A, E, R> &
    ([Extract<R, EveryOwner | SqlClient>] extends [never] ? unknown : never)
): Layer.Layer<A, E, R> => layer

/** Wraps layers that act for the platform: what is done in them answers to no owner. */
export const forPlatform = <A, E, R>(
  layer: Layer.Layer<A, E, R>
): Layer.Layer<A, E, Exclude<R, EveryOwner>> => Layer.provide(layer, EveryOwner.layer)
