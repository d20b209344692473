/** Repositories and the tokens that open one of them. */
import { Ids, OwnerId, RepositoryId } from "@deploy-mcp/domain/model/Ids"
import type { Repository, RepositoryIdentity } from "@deploy-mcp/domain/model/Service"
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
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

const TokenRow = Schema.Struct({
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
          Rows.first(RepositoryRow)(sql`SELECT * FROM repositories WHERE owner_id = ${owner}
            AND host = ${identity.host} AND owner_name = ${identity.owner} AND name = ${identity.name}`),

        list: (owner: OwnerId) =>
          Rows.all(RepositoryRow)(
            sql`SELECT * FROM repositories WHERE owner_id = ${owner} ORDER BY host, owner_name, name`
          ),

        /** With its tokens; run it inside a transaction. */
        remove: Effect.fnUntraced(function* (owner: OwnerId, id: RepositoryId) {
          yield* Rows.write(sql`DELETE FROM repository_tokens
            WHERE owner_id = ${owner} AND repository_id = ${id}`)
          yield* Rows.write(sql`DELETE FROM repositories WHERE owner_id = ${owner} AND id = ${id}`)
        }),

        byId: (owner: OwnerId, id: RepositoryId) =>
          Rows.first(RepositoryRow)(
            sql`SELECT * FROM repositories WHERE owner_id = ${owner} AND id = ${id}`
          ),

        /** The repository that a token opens, if the identity that was asked for is its own. */
        byToken: (id: RepositoryId, identity: RepositoryIdentity) =>
          Rows.first(RepositoryRow)(sql`SELECT * FROM repositories WHERE id = ${id}
            AND host = ${identity.host} AND owner_name = ${identity.owner} AND name = ${identity.name}`),

        /** For events that git itself reports: the owner comes with the row. */
        withOwner: (id: RepositoryId) =>
          Rows.one(RepositoryRow)(sql`SELECT * FROM repositories WHERE id = ${id}`),

        addToken: Effect.fnUntraced(function* (token: {
          readonly owner: OwnerId
          readonly repository: RepositoryId
          readonly hash: string
          readonly access: "read" | "write"
          readonly expiresAt: number
        }) {
          const now = yield* Clock.currentTimeMillis
          yield* Rows.write(sql`DELETE FROM repository_tokens WHERE expires_at < ${now}`)
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
        }),

        tokenByHash: (hash: string) =>
          Rows.first(TokenRow)(
            sql`SELECT repository_id, access, expires_at FROM repository_tokens WHERE hash = ${hash}`
          )
      }
    })
  }
) {
  static readonly layer = Layer.effect(RepositoryStore, RepositoryStore.make)
}
