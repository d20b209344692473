/** What the workflow engine has written down, in its own tables: read and pruned here, and nowhere else. */
import { Context, Effect, Layer, Schema } from "effect"
import * as MachineId from "effect/cluster/MachineId"
import * as Snowflake from "effect/cluster/Snowflake"
import { SqlClient } from "effect/sql/SqlClient"
import * as Rows from "./Rows.ts"

export class JournalStore extends Context.Service<JournalStore>()(
  "@deploy-mcp/runtime/JournalStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient

      /** A run that sleeps or waits has a reply too, which says so: it has not ended. */
      const hasEnded = sql.onDialectOrElse({
        pg: () => sql`COALESCE(CAST(reply.payload AS json)->'value'->>'_tag', '') <> 'Suspended'`,
        orElse: () => sql`COALESCE(json_extract(reply.payload, '$.value._tag'), '') <> 'Suspended'`
      })
      const runs = sql`FROM cluster_messages AS run LEFT JOIN cluster_replies AS reply
        ON reply.request_id = run.id AND reply.kind = 0 AND ${hasEnded}
        WHERE run.tag = 'run' AND run.entity_type <> ${clock}`

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
          ),

        /**
         * Executions that were asked for before `time` (milliseconds since 1970), the oldest first, and
         * whether each has ended before it too. `after`: the `asked` that the page before ended with.
         */
        old: (time: number, after: string, limit: number) =>
          Rows.all(OldRun)(sql`SELECT run.entity_id AS execution, CAST(run.id AS TEXT) AS asked,
              CASE WHEN reply.id < CAST(${firstIdAt(time)} AS BIGINT) THEN 1 ELSE 0 END AS ended
            ${runs} AND run.id < CAST(${firstIdAt(time)} AS BIGINT) AND run.id > CAST(${after} AS BIGINT)
            ORDER BY run.id LIMIT ${limit}`),

        /** Those of these executions that sleep, wait or work. */
        alive: (executions: ReadonlyArray<string>) =>
          executions.length === 0
            ? Effect.succeed([])
            : Effect.map(
                Rows.all(Schema.Struct({ execution: Schema.String }))(
                  sql`SELECT run.entity_id AS execution ${runs}
                    AND ${sql.in("run.entity_id", executions)} AND reply.id IS NULL`
                ),
                (rows) => rows.map(({ execution }) => execution)
              ),

        /** All that was written of them, timers included. Run it inside a transaction. */
        forget: Effect.fnUntraced(function* (executions: ReadonlyArray<string>) {
          if (executions.length === 0) return
          const theirs = sql.in("entity_id", executions)
          yield* Rows.write(sql`DELETE FROM cluster_replies
            WHERE request_id IN (SELECT id FROM cluster_messages WHERE ${theirs})`)
          yield* Rows.write(sql`DELETE FROM cluster_messages WHERE ${theirs}`)
        })
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

/** What the engine calls its timers, which have runs of their own. */
const clock = "Workflow/-/DurableClock"

const OldRun = Schema.Struct({
  execution: Schema.String,
  asked: Schema.String,
  ended: Schema.Int
})

const firstIdAt = (timestamp: number): string =>
  String(Snowflake.make({ timestamp, machineId: MachineId.make(0), sequence: 0 }))

/** The engine's ids hold the time at which they were made. */
const timeOf = (id: string): number => Snowflake.timestamp(Snowflake.Snowflake(id))
