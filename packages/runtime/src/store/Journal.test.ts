/** The journal of a process that is alone: what it shortens, and that it loses nothing by it. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, Schedule, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { aloneRunner, engineOn } from "../compositions/core.ts"
import { EngineDatabase } from "./EngineDatabase.ts"
import * as Postgres from "./Postgres.ts"
import * as Sqlite from "./Sqlite.ts"
import { onEachDatabase } from "./testing/Databases.ts"

/** Never within a test: what needs the journal to be read again does not end. */
const never = "1 hour"

const Sums = Workflow.make("Sums", {
  payload: { id: Schema.String, steps: Schema.Int },
  success: Schema.Int,
  idempotencyKey: ({ id }) => id
})

/** Runs of each step, by workflow and step: the world outside of the journal. */
const done = new Map<string, number>()

const sums = Sums.toLayer(({ id, steps }) =>
  Effect.map(
    Effect.forEach(Array.from({ length: steps }), (_, step) =>
      Activity.make({
        name: `step-${step}`,
        success: Schema.Int,
        execute: Effect.sync(() => {
          const name = `${id}/${step}`
          done.set(name, (done.get(name) ?? 0) + 1)
          return step
        })
      })
    ),
    (numbers) => numbers.reduce((sum, number) => sum + number, 0)
  )
)

onEachDatabase((fresh) => {
  let folder = ""
  let database: string | undefined
  beforeEach(() => {
    done.clear()
    folder = mkdtempSync(join(tmpdir(), "deploy-mcp-journal-"))
    database = fresh()
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** One life of an engine on the test's database. */
  const life = <A, E>(
    use: Effect.Effect<A, E, WorkflowEngine | SqlClient>,
    reread: Parameters<typeof aloneRunner>[0] = never
  ) =>
    use.pipe(
      Effect.provide(
        sums.pipe(
          Layer.provideMerge(engineOn(aloneRunner(reread))),
          Layer.provideMerge(
            database === undefined
              ? Sqlite.layer(join(folder, "journal.db"))
              : Layer.orDie(Postgres.layer(Redacted.make(database)))
          )
        )
      )
    )

  const start = (id: string, steps = 5) =>
    WorkflowEngine.use((engine) =>
      engine.execute(Sums, { executionId: id, payload: { id, steps } })
    )
  const count = (table: "cluster_messages" | "cluster_replies") =>
    SqlClient.use((sql) => sql<{ n: number }>`SELECT COUNT(*) AS n FROM ${sql(table)}`).pipe(
      Effect.map(([row]) => Number(row?.n))
    )

  describe("the journal", () => {
    it.live("takes fifty workflows at once to their end without being read again", () =>
      life(
        Effect.gen(function* () {
          const ids = Array.from({ length: 50 }, (_, at) => `at-once-${at}`)
          const results = yield* Effect.forEach(ids, (id) => start(id), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual([...new Set(results)], [10])
          assert.strictEqual(done.size, 250)
          assert.deepStrictEqual([...new Set(done.values())], [1])
          // A run and five steps for each, every one of them answered.
          assert.strictEqual(yield* count("cluster_messages"), 300)
          assert.strictEqual(yield* count("cluster_replies"), 300)
        })
      )
    )

    it.live("gives the same answer to whoever starts one again, now and in another life", () =>
      Effect.gen(function* () {
        yield* life(
          Effect.gen(function* () {
            const both = yield* Effect.all([start("twice"), start("twice")], { concurrency: 2 })
            assert.deepStrictEqual(both, [10, 10])
          })
        )
        assert.strictEqual(yield* life(start("twice")), 10)
        assert.deepStrictEqual([...new Set(done.values())], [1])
      })
    )

    it.live("finds at its start what an earlier life has left", () =>
      Effect.gen(function* () {
        yield* life(
          Effect.gen(function* () {
            yield* start("left")
            const sql = yield* SqlClient
            // As if that life had ended before it could answer the run and its last step.
            const open = sql`SELECT id FROM cluster_messages
              WHERE entity_id = 'left' AND (tag = 'run' OR payload LIKE '%step-4%')`
            yield* sql`DELETE FROM cluster_replies WHERE request_id IN (${open})`
            yield* sql`UPDATE cluster_messages SET processed = FALSE, last_reply_id = NULL
              WHERE id IN (${open})`
          })
        )
        done.clear()
        yield* life(
          count("cluster_replies").pipe(
            Effect.repeat({ schedule: Schedule.spaced("5 millis"), until: (n) => n === 6 }),
            Effect.timeout("20 seconds")
          )
        )
        assert.deepStrictEqual([...done.keys()], ["left/4"])
      })
    )

    it.live("takes nothing for written that a transaction took back", () =>
      life(
        Effect.gen(function* () {
          const own = yield* Effect.serviceOption(EngineDatabase)
          const sql = Option.isSome(own) ? own.value : yield* SqlClient
          const engine = yield* WorkflowEngine
          const payload = { id: "taken-back", steps: 1 }
          yield* engine
            .execute(Sums, { executionId: "taken-back", payload, discard: true })
            .pipe(Effect.andThen(Effect.fail("no")), sql.withTransaction, Effect.flip)
          assert.strictEqual(yield* start("next", 2), 1)
          assert.deepStrictEqual([...done.keys()], ["next/0", "next/1"])
        })
      )
    )
  })
})
