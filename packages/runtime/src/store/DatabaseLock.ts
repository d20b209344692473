/**
 * One control process for each Postgres database: repositories and artifacts are in its home, so a
 * second one could not do the work that the rows promise. Postgres gives the lock back by itself
 * when the holder or its machine is gone.
 */
import { hostname } from "node:os"
import * as PgClient from "@effect/sql-pg/PgClient"
import { Effect, Layer, type Redacted, Schedule, Schema } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { nameOf } from "./DatabaseUrl.ts"
import { configOf } from "./Postgres.ts"

/** Another process holds this database. */
export class DatabaseHeld extends Schema.TaggedError<DatabaseHeld>()("DatabaseHeld", {
  database: Schema.String,
  /** What the holder calls itself, e.g. `deploy-mcp 4711 on host`, when it is still there. */
  holder: Schema.NullOr(Schema.String)
}) {
  override get message() {
    return `the ${this.database} is held by ${this.holder ?? "another control process"}. Stop it first, or set DEPLOY_MCP_DATABASE_URL to another database.`
  }
}

/** The bytes of "mcp", and which lock of ours it is. */
const lock = [0x6d6370, 1] as const

/** Holds the database for as long as the layer lives. */
export const layer = (url: Redacted.Redacted): Layer.Layer<never, DatabaseHeld | SqlError> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      // The holder may have been killed a moment ago, and Postgres is about to notice.
      const sql = yield* hold(url).pipe(
        Effect.retry({
          while: (error) => !isSqlError(error),
          schedule: Schedule.spaced("200 millis"),
          times: 10
        })
      )
      yield* Effect.forkScoped(keep(url, sql))
    })
  ).pipe(Layer.provide(Reactivity.layer))

/** Takes the lock on a connection of its own; it is held until the scope ends or the connection. */
const hold = Effect.fnUntraced(function* (url: Redacted.Redacted) {
  const sql = yield* PgClient.makeClient({
    ...configOf(url),
    applicationName: `deploy-mcp ${process.pid} on ${hostname()}`.slice(0, 63),
    // A machine that vanishes without a word is noticed within half a minute.
    startupParameters: {
      tcp_keepalives_idle: "15",
      tcp_keepalives_interval: "5",
      tcp_keepalives_count: "3"
    }
  })
  const [taken] = yield* sql<{ held: boolean }>`
    SELECT pg_try_advisory_lock(${lock[0]}, ${lock[1]}) AS held`
  if (taken?.held === true) return sql
  const [other] = yield* sql<{ name: string }>`
    SELECT application_name AS name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid = ${lock[0]} AND objid = ${lock[1]}
      AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())`
  return yield* new DatabaseHeld({ database: nameOf(url), holder: other?.name ?? null })
})

/** A connection that breaks takes the lock with it: it is taken again, or this process must stop. */
const keep = (url: Redacted.Redacted, first: SqlClient) =>
  Effect.gen(function* () {
    yield* untilBroken(first)
    return yield* hold(url).pipe(
      Effect.flatMap(untilBroken),
      Effect.scoped,
      Effect.catchIf(isSqlError, () => Effect.void),
      Effect.repeat(Schedule.spaced("1 second"))
    )
  }).pipe(
    Effect.catchTag("DatabaseHeld", (held) =>
      Effect.andThen(
        Effect.logError(`stopping: ${held.message}`),
        Effect.sync(() => process.kill(process.pid, "SIGTERM"))
      )
    )
  )

const untilBroken = (sql: SqlClient) =>
  sql`SELECT 1`.pipe(
    Effect.timeout("10 seconds"),
    Effect.repeat(Schedule.spaced("5 seconds")),
    Effect.ignore
  )
