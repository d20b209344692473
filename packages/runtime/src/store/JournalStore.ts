/** What the workflow engine has written down, in its own tables: read here, and nowhere else. */
import { Context, Effect, Layer, Schema } from "effect"
import * as Snowflake from "effect/cluster/Snowflake"
import { SqlClient } from "effect/sql/SqlClient"
import * as Rows from "./Rows.ts"

export class JournalStore extends Context.Service<JournalStore>()(
  "@deploy-mcp/runtime/JournalStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      return {
        /** Whether an execution was ever started and its journal is still there. */
        has: (workflow: string, execution: string) =>
          Rows.touched(sql`SELECT tag FROM cluster_messages
            WHERE entity_type = ${`Workflow/${workflow}`} AND entity_id = ${execution}
              AND tag = 'run' LIMIT 1`),

        /** The steps of an execution as far as it has come, in their order. */
        steps: (workflow: string, execution: string) =>
          Effect.map(
            Rows.all(StepRow)(sql`SELECT cluster_messages.payload AS step,
                CAST(cluster_messages.id AS TEXT) AS asked,
                CAST(cluster_replies.id AS TEXT) AS answered, cluster_replies.payload AS reply
              FROM cluster_messages
                LEFT JOIN cluster_replies ON cluster_replies.request_id = cluster_messages.id
                  AND cluster_replies.kind = 0
              WHERE cluster_messages.entity_type = ${`Workflow/${workflow}`}
                AND cluster_messages.entity_id = ${execution} AND cluster_messages.tag = 'activity'
              ORDER BY cluster_messages.id`),
            (rows) =>
              rows.map(({ step, asked, answered, reply }) => ({
                name: step.name,
                startedAt: timeOf(asked),
                endedAt: answered === null ? null : timeOf(answered),
                reply
              }))
          )
      }
    })
  }
) {
  static readonly layer = Layer.effect(JournalStore, JournalStore.make)
}

const StepRow = Schema.Struct({
  step: Schema.fromJsonString(Schema.Struct({ name: Schema.String })),
  asked: Schema.String,
  answered: Schema.NullOr(Schema.String),
  reply: Schema.NullOr(Schema.fromJsonString(Schema.Unknown))
})

/** The engine's ids hold the time at which they were made. */
const timeOf = (id: string): number => Snowflake.timestamp(Snowflake.Snowflake(id))
