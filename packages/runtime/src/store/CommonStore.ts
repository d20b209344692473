/**
 * The questions about rows of all owners that commands may ask: whose a secret is, which is how an owner
 * becomes known at all, and whether a hostname is free.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { KeyRow, keyRows } from "./AccountStore.ts"
import { EveryOwner, ownedRows } from "./Owned.ts"
import { TokenRow } from "./RepositoryStore.ts"
import * as Rows from "./Rows.ts"

export class CommonStore extends Context.Service<CommonStore>()("@deploy-mcp/runtime/CommonStore", {
  make: Effect.gen(function* () {
    const sql = yield* SqlClient
    const everyone = yield* EveryOwner
    const { from } = ownedRows(sql)(everyone)
    return {
      /** The prefix is the public part of a key: what was sent is compared with the row's hash next. */
      keyByPrefix: (prefix: string) =>
        Rows.first(KeyRow)(sql`${keyRows(sql, everyone)} WHERE keys.prefix = ${prefix}`),

      tokenByHash: (hash: string) =>
        Rows.first(TokenRow)(
          sql`SELECT owner_id, repository_id, access, expires_at FROM ${from("repository_tokens")}
            WHERE hash = ${hash}`
        ),

      /** Of the candidates, those that no stage holds; hostnames are unique among all owners. */
      freeLabels: (candidates: ReadonlyArray<string>) =>
        Effect.map(
          Rows.all(Schema.Struct({ label: Schema.String }))(
            sql`SELECT label FROM ${from("hostnames")} WHERE ${sql.in("label", candidates)}`
          ),
          (taken) => candidates.filter((label) => taken.every((row) => row.label !== label))
        )
    }
  })
}) {
  static readonly layer = Layer.effect(CommonStore, CommonStore.make)
}
