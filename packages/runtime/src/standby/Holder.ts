/** Which process holds a database, as a row that the others read: where it is, and that it still moves. */
import { Effect, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

export const Holder = Schema.Struct({
  /** Made anew by each process. */
  token: Schema.String,
  /** Process id, at the database, of the connection that has the lock. */
  backend: Schema.Int,
  /** Repositories, artifacts and the edge are there; only who shares it can take over. */
  home: Schema.String,
  homeId: Schema.String,
  host: Schema.String,
  port: Schema.Int,
  appsPort: Schema.Int,
  /** Milliseconds since it last said that it is alive, by the database's clock. */
  silence: Schema.Int
})
export type Holder = typeof Holder.Type

/** Its own table and no migration: it is needed before anybody may change the others. */
export const announce = (sql: SqlClient, holder: Omit<Holder, "backend" | "silence">) =>
  Effect.gen(function* () {
    yield* sql`CREATE TABLE IF NOT EXISTS deploy_mcp_holder (
      id INTEGER PRIMARY KEY,
      token TEXT NOT NULL,
      backend INTEGER NOT NULL,
      home TEXT NOT NULL,
      home_id TEXT NOT NULL,
      host TEXT NOT NULL,
      port INTEGER NOT NULL,
      apps_port INTEGER NOT NULL,
      seen_at TIMESTAMPTZ NOT NULL
    )`
    yield* sql`DELETE FROM deploy_mcp_holder`
    yield* sql`INSERT INTO deploy_mcp_holder
        (id, token, backend, home, home_id, host, port, apps_port, seen_at)
      VALUES (1, ${holder.token}, pg_backend_pid(), ${holder.home}, ${holder.homeId}, ${holder.host}, ${holder.port},
        ${holder.appsPort}, clock_timestamp())`
  })

/** Says that this process is alive; false when another one has taken its place. */
export const stillHolds = (sql: SqlClient, token: string): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    sql`UPDATE deploy_mcp_holder SET seen_at = clock_timestamp() WHERE token = ${token} RETURNING id`,
    (rows) => rows.length > 0
  )

/** Null: it has just taken the lock, or is of a version that did not tell. */
export const read = (sql: SqlClient): Effect.Effect<Holder | null, SqlError> =>
  Effect.gen(function* () {
    const [table] = yield* sql`SELECT to_regclass('deploy_mcp_holder')::text AS name`
    if (table?.name === null) return null
    const [row] = yield* sql`SELECT token, backend, home, home_id, host, port, apps_port,
        (extract(epoch FROM clock_timestamp() - seen_at) * 1000)::integer AS silence
      FROM deploy_mcp_holder`
    return row === undefined ? null : yield* Effect.orDie(Schema.decodeUnknownEffect(Holder)(row))
  })
