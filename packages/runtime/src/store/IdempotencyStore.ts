/** Answers to writes that may be repeated: the same key means the same request for 24 hours. */
import { refuse } from "@deploy-mcp/domain/Failure"
import { DeploymentId, type OwnerId } from "@deploy-mcp/domain/model/Ids"
import { Clock, Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
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
         * Takes a key, or finds that it was taken: by the same request (its subject is the answer, if
         * it was remembered) or by another one, which is a conflict. Run it inside a transaction.
         */
        claim: Effect.fnUntraced(function* (claim: {
          readonly owner: OwnerId
          readonly command: string
          readonly key: string
          readonly request: string
        }) {
          const now = yield* Clock.currentTimeMillis
          yield* Rows.write(sql`DELETE FROM idempotency WHERE created_at < ${now - life}`)
          const known = yield* Rows.first(Known)(sql`SELECT request_hash, subject FROM idempotency
            WHERE owner_id = ${claim.owner} AND command = ${claim.command} AND key = ${claim.key}`)
          if (Option.isNone(known)) {
            yield* Rows.write(
              sql`INSERT INTO idempotency ${sql.insert({
                owner_id: claim.owner,
                command: claim.command,
                key: claim.key,
                request_hash: claim.request,
                subject: "",
                created_at: now
              })}`
            )
            return null
          }
          if (known.value.requestHash !== claim.request) {
            return yield* refuse(
              "idempotency_conflict",
              `idempotency_key: '${claim.key}' was used for another ${claim.command} in the last 24 hours.`
            )
          }
          return known.value.subject === "" ? null : DeploymentId.make(known.value.subject)
        }),

        remember: (owner: OwnerId, command: string, key: string, subject: DeploymentId) =>
          Rows.write(sql`UPDATE idempotency SET subject = ${subject}
            WHERE owner_id = ${owner} AND command = ${command} AND key = ${key}`)
      }
    })
  }
) {
  static readonly layer = Layer.effect(IdempotencyStore, IdempotencyStore.make)
}
