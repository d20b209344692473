/** Repositories and the tokens that open one of them. */
import { Ids, OwnerId, RepositoryId } from "@deploy-mcp/domain/model/Ids"
import type { Repository, RepositoryIdentity } from "@deploy-mcp/domain/model/Service"
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { ownedRows, type Whose } from "./Owned.ts"
import * as Rows from "./Rows.ts"

export const RepositoryRow = Schema.Struct({
  id: RepositoryId,
  ownerId: OwnerId,
  host: Schema.String,
  ownerName: Schema.String,
  name: Schema.String,
  description: Schema.String,
  gitInstance: Schema.String
})
export type RepositoryRow = typeof RepositoryRow.Type

/** As providers of git are told of it. */
export const repositoryIn = ({ id, host, ownerName, name }: RepositoryRow): Repository => ({
  id,
  host,
  owner: ownerName,
  name
})

export const TokenRow = Schema.Struct({
  ownerId: OwnerId,
  repositoryId: RepositoryId,
  access: Schema.Literals(["read", "write"]),
  expiresAt: Schema.Int
})

export class RepositoryStore extends Context.Service<RepositoryStore>()(
  "@deploy-mcp/runtime/RepositoryStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      const ids = yield* Ids
      const rowsOf = ownedRows(sql)
      return {
        /** False when it was there already. */
        add: Effect.fnUntraced(function* (
          owner: OwnerId,
          identity: RepositoryIdentity & { readonly id?: RepositoryId },
          description: string,
          gitInstance: string
        ) {
          const row = {
            id: identity.id ?? (yield* ids.next("rep")),
            owner_id: owner,
            host: identity.host,
            owner_name: identity.owner,
            name: identity.name,
            description,
            git_instance: gitInstance,
            created_at: yield* Clock.currentTimeMillis
          }
          return yield* Rows.touched(sql`INSERT INTO repositories ${sql.insert(row)}
            ON CONFLICT (owner_id, host, owner_name, name) DO NOTHING RETURNING id`)
        }),

        find: (owner: OwnerId, identity: RepositoryIdentity) =>
          Rows.first(RepositoryRow)(sql`SELECT * FROM ${rowsOf(owner).from("repositories")}
            WHERE host = ${identity.host} AND owner_name = ${identity.owner} AND name = ${identity.name}`),

        list: (whose: Whose) =>
          Rows.all(RepositoryRow)(
            sql`SELECT * FROM ${rowsOf(whose).from("repositories")} ORDER BY host, owner_name, name`
          ),

        /** With its tokens; run it inside a transaction. */
        remove: Effect.fnUntraced(function* (owner: OwnerId, id: RepositoryId) {
          const { remove } = rowsOf(owner)
          yield* Rows.write(sql`${remove("repository_tokens")} AND repository_id = ${id}`)
          yield* Rows.write(sql`${remove("repositories")} AND id = ${id}`)
        }),

        byId: (owner: OwnerId, id: RepositoryId) =>
          Rows.one(RepositoryRow)(
            sql`SELECT * FROM ${rowsOf(owner).from("repositories")} WHERE id = ${id}`
          ),

        /** Forgets the owner's that have expired. */
        addToken: Effect.fnUntraced(function* (token: {
          readonly owner: OwnerId
          readonly repository: RepositoryId
          readonly hash: string
          readonly access: "read" | "write"
          readonly expiresAt: number
        }) {
          const now = yield* Clock.currentTimeMillis
          yield* Rows.write(
            sql`${rowsOf(token.owner).remove("repository_tokens")} AND expires_at < ${now}`
          )
          yield* Rows.write(
            sql`INSERT INTO repository_tokens ${sql.insert({
              id: yield* ids.next("tok"),
              owner_id: token.owner,
              repository_id: token.repository,
              hash: token.hash,
              access: token.access,
              created_at: now,
              expires_at: token.expiresAt
            })}`
          )
        })
      }
    })
  }
) {
  static readonly layer = Layer.effect(RepositoryStore, RepositoryStore.make)
}
