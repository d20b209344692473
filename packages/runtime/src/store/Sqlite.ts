/**
 * Node's own SQLite behind `SqlClient`: one connection, one file, WAL, synchronous=FULL. A new file can
 * give pages back one by one; one that was made before could do so only when all of it was written anew.
 * This is the border to an untyped driver; nothing else touches `node:sqlite` but the home lock.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"
import { DiskFull } from "@deploy-mcp/domain/DiskFull"
import { Effect, Layer, Semaphore, Stream } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import { toCamel } from "./Rows.ts"

const transformRows = Statement.defaultTransforms(toCamel, false).array

/** What a connection is to its database, apart from statements. */
export interface Own {
  /** Ends it as the end of its process would. */
  readonly close: () => void
  /** A function that statements can call. */
  readonly define: (name: string, value: () => string) => void
}

/** May stand between a connection and its database. */
export type Between = (connection: Connection, own: Own) => Connection

export const layer = (
  file: string,
  between: Between = (connection) => connection
): Layer.Layer<SqlClient.SqlClient> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function* () {
      const db = yield* Effect.acquireRelease(
        Effect.sync(() => open(file)),
        (db) => Effect.sync(() => close(db))
      )
      const connection = between(makeConnection(db), {
        close: () => close(db),
        define: (name, value) => db.function(name, value)
      })
      return yield* SqlClient.make({
        driver: "node-sqlite",
        compiler: Statement.makeCompilerSqlite(),
        spanAttributes: [["db.system.name", "sqlite"]],
        transformRows,
        ...SqlClient.makeSqliteAcquirers({
          connection: Effect.succeed(connection),
          semaphore: Semaphore.makeUnsafe(1),
          isTransaction: () => db.isTransaction
        })
      })
    })
  ).pipe(Layer.provide(Reactivity.layer))

const open = (file: string): DatabaseSync => {
  const db = new DatabaseSync(file)
  db.exec(
    "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000; PRAGMA foreign_keys=ON"
  )
  return db
}

const close = (db: DatabaseSync): void => {
  if (db.isOpen) db.close()
}

const makeConnection = (db: DatabaseSync): Connection => {
  const prepared = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    const known = prepared.get(sql)
    if (known !== undefined) return known
    if (prepared.size >= 500) prepared.clear()
    const statement = db.prepare(sql)
    prepared.set(sql, statement)
    return statement
  }
  const executed =
    (prepare: (sql: string) => StatementSync): Connection["execute"] =>
    (sql, params, transform) =>
      run(() => {
        const rows = prepare(sql).all(...params.map(bind))
        return transform ? transform(rows) : rows
      })
  const execute = executed(prepare)
  const executeValues: Connection["executeValues"] = (sql, params) =>
    run(() => {
      const statement = prepare(sql)
      statement.setReturnArrays(true)
      try {
        return statement.all(...params.map(bind)) as unknown as Array<Array<unknown>>
      } finally {
        statement.setReturnArrays(false)
      }
    })
  return {
    execute,
    // A text that hardly comes again would push out those that do.
    executeUnprepared: executed((sql) => db.prepare(sql)),
    executeRaw: (sql, params) => execute(sql, params, undefined),
    executeValues,
    executeValuesUnprepared: executeValues,
    executeStream: (sql, params, transform) =>
      Stream.fromArrayEffect(execute(sql, params, transform) as never)
  }
}

const bind = (value: unknown): SQLInputValue => {
  if (typeof value === "boolean") return value ? 1 : 0
  if (value === undefined) return null
  if (value instanceof Date) return value.toISOString()
  return value as SQLInputValue
}

const run = <A>(f: () => A): Effect.Effect<A, SqlError> =>
  Effect.try({
    try: f,
    catch: (cause) =>
      new SqlError({
        reason: classifySqliteError(explained(cause), {
          message: String(cause),
          operation: "execute"
        })
      })
  })

const full = 13

const explained = (cause: unknown): unknown =>
  cause instanceof Error && "errcode" in cause && cause.errcode === full
    ? new DiskFull(cause.message, { cause })
    : cause
