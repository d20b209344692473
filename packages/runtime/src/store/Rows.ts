/**
 * How rows become values. A row that does not decode, or a database that fails, is a defect: no
 * caller can mend it, and doors show it as `internal`.
 */
import { Effect, Option, Schema } from "effect"
import type { SqlError } from "effect/sql/SqlError"

type Statement = Effect.Effect<ReadonlyArray<unknown>, SqlError>

/** Columns are snake_case in SQL and camelCase in rows. */
export const toCamel = (column: string): string =>
  column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** All rows, decoded. */
export const all =
  <S extends Schema.Codec<unknown, unknown>>(schema: S) =>
  (statement: Statement): Effect.Effect<ReadonlyArray<S["Type"]>> => {
    const decode = Schema.decodeUnknownEffect(Schema.Array(schema))
    return statement.pipe(Effect.flatMap(decode), Effect.orDie)
  }

/** The first row, if there is one. */
export const first =
  <S extends Schema.Codec<unknown, unknown>>(schema: S) =>
  (statement: Statement): Effect.Effect<Option.Option<S["Type"]>> =>
    Effect.map(all(schema)(statement), (rows) => Option.fromNullishOr(rows[0]))

/** The one row that must be there. */
export const one =
  <S extends Schema.Codec<unknown, unknown>>(schema: S) =>
  (statement: Statement): Effect.Effect<S["Type"]> =>
    first(schema)(statement).pipe(
      Effect.flatMap(
        Option.match({
          onNone: () => Effect.die(new Error("a row that must exist is missing")),
          onSome: Effect.succeed
        })
      )
    )

/** Whether a conditional write touched a row; give it a statement that ends in RETURNING. */
export const touched = (statement: Statement): Effect.Effect<boolean> =>
  statement.pipe(
    Effect.map((rows) => rows.length > 0),
    Effect.orDie
  )

/** Runs a statement for its effect. */
export const write = (statement: Statement): Effect.Effect<void> =>
  statement.pipe(Effect.asVoid, Effect.orDie)
