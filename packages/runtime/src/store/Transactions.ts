/** All or nothing, for those who see rows through the stores alone. */
import { Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

export class Transactions extends Context.Service<
  Transactions,
  {
    /** What it wrote is taken back when it fails or is interrupted; a database that fails is a defect. */
    readonly whole: <A, E, R>(
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, Exclude<E, SqlError>, R>
  }
>()("@deploy-mcp/runtime/Transactions") {
  static readonly layer = Layer.effect(
    Transactions,
    Effect.map(SqlClient, (sql) => ({
      whole: (effect) => orDieSql(sql.withTransaction(effect))
    }))
  )
}

const orDieSql = <A, E, R>(effect: Effect.Effect<A, E | SqlError, R>) =>
  effect.pipe(
    Effect.catchIf(
      (error) => isSqlError(error),
      (error) => Effect.die(error)
    )
  )
