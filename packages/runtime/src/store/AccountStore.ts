/** Owners, their projects and the keys they ask with. */
import { Ids, KeyId, OwnerId, ProjectId, UserId } from "@deploy-mcp/domain/model/Ids"
import { OwnerName, type ProjectName } from "@deploy-mcp/domain/model/Names"
import { Scope } from "@deploy-mcp/domain/model/Principal"
import { Clock, Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { ownedRows, type Whose } from "./Owned.ts"
import * as Rows from "./Rows.ts"

export const KeyRow = Schema.Struct({
  id: KeyId,
  ownerId: OwnerId,
  ownerName: OwnerName,
  userId: UserId,
  projectId: Schema.NullOr(ProjectId),
  projectName: Schema.NullOr(Schema.String),
  name: Schema.String,
  prefix: Schema.String,
  hash: Schema.String,
  scopes: Schema.fromJsonString(Schema.Array(Scope)),
  createdAt: Schema.Int,
  expiresAt: Schema.NullOr(Schema.Int),
  lastUsedAt: Schema.NullOr(Schema.Int),
  revokedAt: Schema.NullOr(Schema.Int)
})
export type KeyRow = typeof KeyRow.Type

/** `KeyRow`s; goes on with `WHERE`. */
export const keyRows = (sql: SqlClient, whose: Whose): Fragment => {
  const { from } = ownedRows(sql)(whose)
  return sql`SELECT keys.*, owners.name AS owner_name, projects.name AS project_name
    FROM ${from("keys")} JOIN owners ON owners.id = keys.owner_id
      LEFT JOIN ${from("projects")} ON projects.id = keys.project_id`
}

const Named = Schema.Struct({ id: ProjectId, name: Schema.String })

export class AccountStore extends Context.Service<AccountStore>()(
  "@deploy-mcp/runtime/AccountStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      const ids = yield* Ids
      const rowsOf = ownedRows(sql)

      return {
        /** The only owner of a platform that has just been installed, if there is one. */
        firstOwner: Rows.first(Schema.Struct({ id: OwnerId, name: OwnerName }))(
          sql`SELECT id, name FROM owners ORDER BY tenant LIMIT 1`
        ),

        /** An owner with one user and the default project. */
        addOwner: Effect.fnUntraced(function* (name: OwnerName) {
          const now = yield* Clock.currentTimeMillis
          const owner = OwnerId.make(yield* ids.next("own"))
          const user = UserId.make(yield* ids.next("usr"))
          const project = yield* ids.next("prj")
          yield* Rows.write(sql`INSERT INTO owners (id, name, tenant, created_at)
            SELECT ${owner}, ${name}, COALESCE(MAX(tenant) + 1, 0), ${now} FROM owners`)
          yield* Rows.write(
            sql`INSERT INTO users ${sql.insert({ id: user, owner_id: owner, name: "owner", created_at: now })}`
          )
          yield* Rows.write(
            sql`INSERT INTO projects ${sql.insert({ id: project, owner_id: owner, name: "default", created_at: now })}`
          )
          return { owner, user }
        }),

        addKey: Effect.fnUntraced(function* (key: {
          readonly owner: OwnerId
          readonly user: UserId
          readonly project: ProjectId | null
          readonly name: string
          readonly prefix: string
          readonly hash: string
          readonly scopes: ReadonlyArray<Scope>
          readonly expiresAt: number | null
        }) {
          const now = yield* Clock.currentTimeMillis
          return yield* Rows.touched(
            sql`INSERT INTO keys ${sql.insert({
              id: yield* ids.next("key"),
              owner_id: key.owner,
              user_id: key.user,
              project_id: key.project,
              name: key.name,
              prefix: key.prefix,
              hash: key.hash,
              scopes: JSON.stringify(key.scopes),
              created_at: now,
              expires_at: key.expiresAt
            })} ON CONFLICT (owner_id, name) DO NOTHING RETURNING id`
          )
        }),

        keyById: (owner: OwnerId, key: KeyId) =>
          Rows.one(KeyRow)(sql`${keyRows(sql, owner)} WHERE keys.id = ${key}`),

        keys: (owner: OwnerId) =>
          Rows.all(KeyRow)(sql`${keyRows(sql, owner)} ORDER BY keys.created_at`),

        revokeKey: Effect.fnUntraced(function* (owner: OwnerId, name: string) {
          const now = yield* Clock.currentTimeMillis
          yield* Rows.write(sql`${rowsOf(owner).update("keys", sql`revoked_at = ${now}`)}
            AND name = ${name} AND revoked_at IS NULL`)
          return yield* Rows.first(KeyRow)(sql`${keyRows(sql, owner)} WHERE keys.name = ${name}`)
        }),

        touchKey: (owner: OwnerId, key: KeyId, now: number) =>
          Rows.write(
            sql`${rowsOf(owner).update("keys", sql`last_used_at = ${now}`)} AND id = ${key}`
          ),

        /** False when it was there already. */
        addProject: Effect.fnUntraced(function* (owner: OwnerId, name: ProjectName) {
          const row = {
            id: yield* ids.next("prj"),
            owner_id: owner,
            name,
            created_at: yield* Clock.currentTimeMillis
          }
          return yield* Rows.touched(sql`INSERT INTO projects ${sql.insert(row)}
            ON CONFLICT (owner_id, name) DO NOTHING RETURNING id`)
        }),

        projects: (owner: OwnerId) =>
          Rows.all(Named)(
            sql`SELECT id, name FROM ${rowsOf(owner).from("projects")} ORDER BY created_at`
          ),

        project: (owner: OwnerId, name: ProjectName) =>
          Effect.map(
            Rows.first(Named)(
              sql`SELECT id, name FROM ${rowsOf(owner).from("projects")} WHERE name = ${name}`
            ),
            Option.map((row) => row.id)
          )
      }
    })
  }
) {
  static readonly layer = Layer.effect(AccountStore, AccountStore.make)
}
