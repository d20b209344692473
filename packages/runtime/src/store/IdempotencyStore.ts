/** Answers to writes that may be repeated: the same key means the same request for 24 hours. */
import { createHash } from "node:crypto"
import { refuse } from "@deploy-mcp/domain/Failure"
import type { OwnerId } from "@deploy-mcp/domain/model/Ids"
import type { Principal } from "@deploy-mcp/domain/model/Principal"
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { ownedRows, type Whose } from "./Owned.ts"
import * as Rows from "./Rows.ts"

const life = 24 * 60 * 60_000
const Known = Schema.Struct({ requestHash: Schema.String, subject: Schema.String })

export class IdempotencyStore extends Context.Service<IdempotencyStore>()(
  "@deploy-mcp/runtime/IdempotencyStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      return {
        /**
         * Does `work` and remembers what it was about under the caller's key; with the same key and
         * request again it does nothing and tells that. Another request with the key is a conflict,
         * shown with the `current` state. Run it inside a transaction.
         */
        once: Effect.fnUntraced(function* <E, R>(
          claim: {
            readonly owner: OwnerId
            readonly command: string
            readonly key: string | undefined
            /** What must be equal for it to be the same request; holds no secret. */
            readonly request: unknown
            readonly current?: Effect.Effect<Schema.Json, never, Principal>
          },
          work: Effect.Effect<string, E, R>
        ) {
          if (claim.key === undefined) return { subject: yield* work, repeated: false }
          const request = hashOf(claim.request)
          const { from, remove, update } = ownedRows(sql)(claim.owner)
          const now = yield* Clock.currentTimeMillis
          yield* Rows.write(sql`${remove("idempotency")} AND command = ${claim.command}
            AND key = ${claim.key} AND created_at < ${now - life}`)
          const claimed = yield* Rows.touched(
            sql`INSERT INTO idempotency ${sql.insert({
              owner_id: claim.owner,
              command: claim.command,
              key: claim.key,
              request_hash: request,
              subject: "",
              created_at: now
            })} ON CONFLICT (owner_id, command, key) DO NOTHING RETURNING key`
          )
          if (claimed) {
            const subject = yield* work
            yield* Rows.write(sql`${update("idempotency", sql`subject = ${subject}`)}
              AND command = ${claim.command} AND key = ${claim.key}`)
            return { subject, repeated: false }
          }
          const known = yield* Rows.one(Known)(sql`SELECT request_hash, subject
            FROM ${from("idempotency")} WHERE command = ${claim.command} AND key = ${claim.key}`)
          if (known.requestHash !== request) {
            return yield* refuse(
              "idempotency_conflict",
              `idempotency_key: '${claim.key}' was used for another ${claim.command} in the last 24 hours.`,
              claim.current === undefined ? {} : { current: yield* claim.current }
            )
          }
          return { subject: known.subject, repeated: true }
        }),

        /** Keys whose time is over; how many there were. */
        forgetOld: Effect.fnUntraced(function* (whose: Whose) {
          const now = yield* Clock.currentTimeMillis
          const { remove } = ownedRows(sql)(whose)
          const old = yield* Rows.all(Schema.Struct({ key: Schema.String }))(
            sql`${remove("idempotency")} AND created_at < ${now - life} RETURNING key`
          )
          return old.length
        })
      }
    })
  }
) {
  static readonly layer = Layer.effect(IdempotencyStore, IdempotencyStore.make)
}

const hashOf = (request: unknown): string =>
  createHash("sha256").update(JSON.stringify(request)).digest("hex")
