/**
 * The lock that makes one control process the holder of a Postgres database. Postgres gives it back by
 * itself when the holder or its machine is gone, to the one that has waited longest.
 */
import { hostname } from "node:os"
import * as PgClient from "@effect/sql-pg/PgClient"
import { Effect, type Redacted, type Scope } from "effect"
import type { Reactivity } from "effect/reactivity/Reactivity"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { configOf } from "../store/Postgres.ts"

/** The bytes of "mcp", and which lock of ours it is. */
const lock = [0x6d6370, 1] as const

/** A connection of its own: the lock is held until the scope ends or the connection breaks. */
export const connect = (
  url: Redacted.Redacted
): Effect.Effect<SqlClient, SqlError, Scope.Scope | Reactivity> =>
  PgClient.makeClient({
    ...configOf(url),
    applicationName: `deploy-mcp ${process.pid} on ${hostname()}`.slice(0, 63),
    // A machine that vanishes without a word is noticed within half a minute.
    startupParameters: {
      tcp_keepalives_idle: "15",
      tcp_keepalives_interval: "5",
      tcp_keepalives_count: "3"
    }
  })

/** Whether this connection has the lock now. */
export const tryTake = (sql: SqlClient): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    sql<{ taken: boolean }>`SELECT pg_try_advisory_lock(${lock[0]}, ${lock[1]}) AS taken`,
    ([row]) => row?.taken === true
  )

/** Waits for as long as somebody else has it. */
export const take = (sql: SqlClient): Effect.Effect<void, SqlError> =>
  Effect.asVoid(sql`SELECT pg_advisory_lock(${lock[0]}, ${lock[1]})::text`)

const sessions = (sql: SqlClient, granted: boolean) =>
  sql`locktype = 'advisory' AND classid = ${lock[0]} AND objid = ${lock[1]} AND granted = ${granted}
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** What the connection that has it calls itself, e.g. `deploy-mcp 4711 on host`. */
export const holderName = (sql: SqlClient): Effect.Effect<string | null, SqlError> =>
  Effect.map(
    sql<{ name: string }>`SELECT application_name AS name FROM pg_locks
      JOIN pg_stat_activity USING (pid) WHERE ${sessions(sql, true)}`,
    ([row]) => row?.name ?? null
  )

/** Whether somebody waits for it. */
export const isAwaited = (sql: SqlClient): Effect.Effect<boolean, SqlError> =>
  Effect.map(sql`SELECT pid FROM pg_locks WHERE ${sessions(sql, false)}`, (rows) => rows.length > 0)

/** Ends the connection with this process id at the database, if it is the one that has the lock. */
export const breakFrom = (sql: SqlClient, backend: number): Effect.Effect<void, SqlError> =>
  Effect.asVoid(
    sql`SELECT pg_terminate_backend(pid) FROM pg_locks
      WHERE ${sessions(sql, true)} AND pid = ${backend}`
  )
