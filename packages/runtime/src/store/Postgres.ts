/**
 * Postgres behind `SqlClient`, with the promises that one SQLite connection gives by itself: a
 * transaction sees and writes as if it were alone, however many processes share the database.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import {
  Cause,
  Context,
  Duration,
  Effect,
  Layer,
  Option,
  type Redacted,
  Result,
  Schedule
} from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { EngineDatabase } from "./EngineDatabase.ts"
import { toCamel } from "./Rows.ts"

/** `url`: postgres://user:password@host:port/database. */
export const layer = (
  url: Redacted.Redacted
): Layer.Layer<SqlClient.SqlClient | EngineDatabase, SqlError> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const client = yield* PgClient.make(configOf(url))
      const engine = yield* PgClient.make(configOf(url))
      yield* client`SELECT 1` // pools connect late; who cannot reach the database hears it here
      const withTransaction = asIfAlone(client)
      return Context.make(SqlClient.SqlClient, Object.assign(client, { withTransaction })).pipe(
        Context.add(EngineDatabase, engine)
      )
    })
  ).pipe(Layer.provide(Reactivity.layer))

/** How every connection of ours is made; its name is seen in `pg_stat_activity`. */
export const configOf = (url: Redacted.Redacted): PgClient.PgPoolConfig => ({
  url,
  applicationName: "deploy-mcp",
  maxConnections: 10,
  types,
  transformResultNames: toCamel,
  transformJson: false
})

/**
 * Serializable, and run again when Postgres finds that two of them would not fit one after the other.
 * Bodies are only reads, writes and values, so that running one twice is harmless.
 */
const asIfAlone = (client: SqlClient.SqlClient): SqlClient.SqlClient["withTransaction"] => {
  const { transactionService, withTransaction } = client
  return <R, E, A>(body: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
    Effect.flatMap(Effect.serviceOption(transactionService), (outer) => {
      if (Option.isSome(outer)) return withTransaction(body)
      const isCollision = collisions()
      return withTransaction(body).pipe(
        Effect.provideService(SqlClient.BeginTransaction, "BEGIN ISOLATION LEVEL SERIALIZABLE"),
        Effect.sandbox,
        Effect.retry({ while: isCollision, schedule: pauses }),
        Effect.catch((cause) => Effect.failCause(cause))
      )
    })
}

/** Short and uneven, so that those that collided do not meet again; about a minute in all. */
const pauses = Schedule.exponential("2 millis", 1.5).pipe(
  Schedule.modifyDelay(({ duration }) =>
    Effect.succeed(Duration.min(duration, Duration.millis(250)))
  ),
  Schedule.jittered,
  Schedule.upTo({ times: 250 })
)

/**
 * Whether a transaction failed only because of another one; made anew for each transaction. Two that
 * insert one key at the same time may also end in a violation, which a second look turns into the row
 * that is there: when that shows again and again, it is a mistake of the body's own. Other collisions
 * in between say nothing of it, however many there are.
 */
const collisions = (): ((cause: Cause.Cause<unknown>) => boolean) => {
  let violations = 0
  return (cause) => {
    const found = new Set(reasonsOf(cause))
    if (found.has("SerializationError") || found.has("DeadlockError")) return true
    return found.has("UniqueViolation") && ++violations <= 3
  }
}

/** Stores turn database errors into defects, so both are looked at. */
const reasonsOf = ({ reasons }: Cause.Cause<unknown>) =>
  reasons.flatMap((reason) => {
    const error = Cause.isFailReason(reason)
      ? reason.error
      : Cause.isDieReason(reason)
        ? reason.defect
        : null
    return isSqlError(error) ? [error.reason._tag] : []
  })

/** Integers of 64 bits are numbers like those of SQLite, and bigints where a number would round. */
const types = PgTypes.makeRegistry()
types.register<number | bigint>(PgTypes.OID.int8, {
  encode: (value) => {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigInt64(0, BigInt(value))
    return Result.succeed(bytes)
  },
  decode: (bytes) => {
    const value = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0)
    const number = Number(value)
    return Result.succeed(Number.isSafeInteger(number) ? number : value)
  }
})
