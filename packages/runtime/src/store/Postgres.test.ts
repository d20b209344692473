/** What transactions on Postgres promise beyond what Postgres does. */
import { it } from "@effect/vitest"
import { Effect, Exit, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { assert } from "vitest"
import * as Postgres from "./Postgres.ts"
import { onPostgres } from "./testing/Databases.ts"

/** Fails the transaction as Postgres does when it met another one. */
const failing = (code: "40001" | "23505") =>
  Effect.flatMap(SqlClient, (sql) =>
    Effect.asVoid(
      sql.unsafe(`DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '${code}'; END $$`)
    )
  )

/** Runs one transaction whose attempts fail with `codes`, one after the other, and then end well. */
const attempts = (codes: ReadonlyArray<"40001" | "23505">) =>
  Effect.flatMap(SqlClient, (sql) => {
    const left = [...codes]
    return Effect.suspend(() => {
      const code = left.shift()
      return code === undefined ? Effect.void : failing(code)
    }).pipe(sql.withTransaction, Effect.asVoid, Effect.exit)
  })

onPostgres((fresh) => {
  const onFresh = <A, E>(use: Effect.Effect<A, E, SqlClient>) =>
    Effect.suspend(() => use.pipe(Effect.provide(Postgres.layer(Redacted.make(fresh())))))

  it.live("one that collided often still finds a key that another one took meanwhile", () =>
    Effect.gen(function* () {
      const often = Array.from({ length: 4 }, () => "40001" as const)
      const exit = yield* attempts([...often, "23505", ...often, "23505"])
      assert.deepStrictEqual(exit, Exit.void)
    }).pipe(onFresh)
  )

  it.live("one that breaks a key by its own mistake ends soon", () =>
    Effect.gen(function* () {
      const exit = yield* attempts(Array.from({ length: 4 }, () => "23505" as const))
      assert.isTrue(Exit.isFailure(exit))
    }).pipe(onFresh)
  )
})
