/**
 * What is old is forgotten in steps that may be cut off: before and after each statement the database is
 * lost, as by kill -9, and the next time leaves what a whole one leaves.
 */
import { cpSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { IdempotencyKey, ServiceName, VariableName } from "@deploy-mcp/domain/model/Names"
import { Host } from "@deploy-mcp/domain/Provider"
import type { PostgresServer } from "@deploy-mcp/providers/database/postgres/PostgresServer"
import { LogsEmbedded } from "@deploy-mcp/providers/logs/embedded/LogsEmbedded"
import { testing } from "@deploy-mcp/runtime/compositions/testing"
import { DeploymentEvents } from "@deploy-mcp/runtime/DeploymentEvents"
import { DeploymentLog } from "@deploy-mcp/runtime/DeploymentLog"
import { Platform } from "@deploy-mcp/runtime/Platform"
import * as Forgetting from "@deploy-mcp/runtime/retention/Retention"
import { Retention } from "@deploy-mcp/runtime/retention/Retention"
import { IdempotencyStore } from "@deploy-mcp/runtime/store/IdempotencyStore"
import { JournalStore } from "@deploy-mcp/runtime/store/JournalStore"
import { forPlatform } from "@deploy-mcp/runtime/store/Owned"
import * as Postgres from "@deploy-mcp/runtime/store/Postgres"
import * as Sqlite from "@deploy-mcp/runtime/store/Sqlite"
import { TrashStore } from "@deploy-mcp/runtime/store/TrashStore"
import { onPostgres } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Redacted, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { homeOf, untilQuiet } from "./Retained.ts"
import { scene, web } from "./Scene.ts"

const shop = ServiceName.make("shop")

/** Where a prune is cut: the how-many-eth place, of those before and those after each statement. */
type Database = Layer.Layer<SqlClient>

describe("a prune on SQLite", () => {
  it.live(
    "that is cut at any statement loses nothing, and the next one ends what it began",
    () =>
      Effect.gen(function* () {
        const home = yield* furnished(undefined)
        const file = (folder: string) => join(folder, "deploy-mcp.db")
        const copy = Effect.map(homeOf, (folder) => {
          cpSync(home, folder, { recursive: true })
          return { folder, database: Sqlite.layer(file(folder)) }
        })
        yield* cutEverywhere(copy, ({ folder }, place) =>
          Effect.gen(function* () {
            const cut = yield* Latch.make(false)
            const database = Sqlite.layer(
              file(folder),
              cutAt(place, () => cut.openUnsafe())
            )
            // What was cut off hangs for ever, as nothing of it would be there.
            const pruning = yield* Effect.forkDetach(prune(folder, database))
            return yield* Effect.raceFirst(
              Effect.as(Fiber.join(pruning), false),
              Effect.as(cut.await, true)
            )
          })
        )
      }).pipe(Effect.scoped),
    120_000
  )
})

onPostgres((fresh, server) => {
  it.live(
    "a prune that is cut at any statement loses nothing, and the next one ends what it began",
    () =>
      Effect.gen(function* () {
        const source = fresh()
        const home = yield* furnished(source)
        const copy = Effect.map(homeOf, (folder) => {
          cpSync(home, folder, { recursive: true })
          const url = copyOf(server(), source)
          return { folder, database: Layer.orDie(Postgres.layer(Redacted.make(url))) }
        })
        yield* cutEverywhere(copy, ({ database, folder }, place) =>
          Effect.gen(function* () {
            yield* Effect.provide(plant(place), database, { local: true })
            return Exit.isFailure(yield* Effect.exit(prune(folder, database)))
          }).pipe(Effect.tap(() => Effect.provide(unplant, database, { local: true })))
        )
      }).pipe(Effect.scoped),
    120_000
  )
})

/** Services that deployed often, one that was deleted for good, one that is in the trash, an old key. */
const furnished = Effect.fnUntraced(function* (databaseUrl: string | undefined) {
  const home = yield* homeOf
  yield* Effect.gen(function* () {
    const it = yield* scene
    const sql = yield* SqlClient
    const { redeploy, update } = yield* Services
    it.commit({ page: "0" })
    yield* it.create(shop)
    yield* it.settled(shop)
    yield* it.remove(shop)
    yield* untilQuiet
    yield* sql`UPDATE cluster_messages SET deliver_at = 1 WHERE deliver_at IS NOT NULL`
    yield* Effect.repeat(sql<{ n: number }>`SELECT COUNT(*) AS n FROM services`, {
      schedule: Schedule.spaced("50 millis"),
      until: ([row]) => Number(row?.n) === 0
    }).pipe(Effect.timeout("15 seconds"))
    for (const name of [shop, web]) {
      yield* it.create(name)
      yield* it.settled(name)
    }
    yield* it.remove(shop)
    for (let value = 1; value <= 10; value += 1) {
      const variables = { [VariableName.make("MODE")]: Redacted.make(`${value}`) }
      yield* it.asOwner(update({ name: web, settings: {}, variables }))
      yield* it.settled()
    }
    yield* it.asOwner(redeploy({ name: web, idempotencyKey: IdempotencyKey.make("k") }))
    yield* it.settled()
    yield* sql`UPDATE idempotency SET created_at = 1`
    yield* untilQuiet
  }).pipe(Effect.provide(testing(home, { databaseUrl, trashRetention: 90_000 }), { local: true }))
  return home
})

interface Copy {
  readonly folder: string
  readonly database: Database
}

/** `cut` prunes with an end at that place of all places; false: there is no such place. */
const cutEverywhere = <R>(
  copy: Effect.Effect<Copy, never, R>,
  cut: (copy: Copy, place: number) => Effect.Effect<boolean>
) =>
  Effect.gen(function* () {
    const whole = yield* copy
    const before = yield* seen(whole)
    const pruned = yield* prune(whole.folder, whole.database)
    const after = yield* seen(whole)
    assert.isAbove(pruned.deployments, 4)
    assert.isAbove(pruned.workflows, 2)
    assert.isAbove(pruned.variables, 2)
    assert.strictEqual(pruned.keys, 1)
    let halves = 0
    for (let place = 0; ; place += 1) {
      const one = yield* copy
      if (!(yield* cut(one, place))) {
        assert.deepStrictEqual(yield* seen(one), after)
        assert.isAbove(place, 20)
        break
      }
      const left = yield* seen(one)
      assert.isEmpty(lost(after, left), `lost at ${place}`)
      if (lost(before, left).length > 0 && lost(left, after).length > 0) halves += 1
      yield* prune(one.folder, one.database)
      assert.deepStrictEqual(yield* seen(one), after, `cut at ${place}`)
    }
    assert.isAbove(halves, 3)
  })

const lost = (whole: ReadonlyArray<string>, left: ReadonlyArray<string>) => {
  const there = new Set(left)
  return whole.filter((line) => !there.has(line))
}

const prune = (folder: string, database: Database) =>
  Retention.use(({ prune }) => prune).pipe(
    Effect.provide(
      forPlatform(Forgetting.layer({ first: null, every: 0, batch: 3, pause: 0 })).pipe(
        Layer.provide([
          JournalStore.layer,
          TrashStore.layer,
          IdempotencyStore.layer,
          DeploymentLog.layer.pipe(Layer.provide(DeploymentEvents.layer))
        ]),
        Layer.provide([
          database,
          LogsEmbedded.layer.pipe(
            Layer.provide(
              Layer.succeed(Host, {
                directory: join(folder, "logs"),
                artifacts: "",
                node: { bin: "", version: "" }
              })
            )
          ),
          Layer.succeed(Platform, { keptHistory: 0 } as Platform["Service"])
        ])
      ),
      { local: true }
    ),
    Effect.orDie
  )

/** All that a prune may touch. No half of anything: what belongs to something that is gone is gone too. */
const seen = ({ database, folder }: Copy) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient
    const all = (what: string, column: string, where = "") =>
      Effect.map(
        sql.unsafe<{ id: string }>(
          `SELECT CAST(${column} AS TEXT) AS id FROM ${what} ${where} ORDER BY 1`
        ),
        (rows) => rows.map(({ id }) => `${what} ${id}`)
      )
    assert.isEmpty(
      yield* all(
        "cluster_replies",
        "id",
        "WHERE request_id NOT IN (SELECT id FROM cluster_messages)"
      )
    )
    const runs = `(SELECT entity_id FROM cluster_messages WHERE tag = 'run')`
    assert.isEmpty(yield* all("cluster_messages", "id", `WHERE entity_id NOT IN ${runs}`))
    assert.isEmpty(
      yield* all("deployments", "id", `WHERE status = 'committed' AND id NOT IN ${runs}`)
    )
    return [
      ...(yield* all("deployments", "id")),
      ...(yield* all("releases", "id")),
      ...(yield* all("deployment_phases", "deployment_id || phase")),
      ...(yield* all("variables", "id")),
      ...(yield* all("idempotency", "key")),
      ...(yield* all("cluster_messages", "id")),
      ...(yield* all("cluster_replies", "id")),
      ...readdirSync(join(folder, "logs", "deployments")).sort()
    ]
  }).pipe(Effect.orDie, Effect.provide(database, { local: true }))

/** Ends the connection before (even places) or after (odd ones) a statement. */
const cutAt =
  (place: number, told: () => unknown): Sqlite.Between =>
  (connection, { close }) => {
    let passed = 0
    const end = Effect.suspend(() => {
      close()
      told()
      return Effect.never
    })
    const gate =
      (run: Connection["execute"]): Connection["execute"] =>
      (...args) =>
        Effect.suspend(() => {
          const here = passed
          passed += 2
          if (here === place) return end
          return here + 1 === place ? Effect.andThen(run(...args), end) : run(...args)
        })
    return {
      ...connection,
      execute: gate(connection.execute),
      executeUnprepared: gate(connection.executeUnprepared)
    }
  }

let copies = 0
const copyOf = (server: PostgresServer, source: string): string => {
  copies += 1
  const name = `prune_${copies}`
  server.execute(`CREATE DATABASE ${name} TEMPLATE ${new URL(source).pathname.slice(1)}`)
  return server.url(name)
}

const tables = [
  "idempotency",
  "deployment_phases",
  "deployment_retries",
  "releases",
  "deployments",
  "variables",
  "cluster_replies",
  "cluster_messages"
]

/** The server itself ends the connection; sequences remember what a transaction that is lost has done. */
const plant = (place: number) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient
    yield* sql`CREATE SEQUENCE places MINVALUE 0 START 0`
    yield* sql.unsafe(`CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('places') = ${place} THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
      RETURN NULL; END $$`)
    for (const table of tables) {
      for (const side of ["BEFORE", "AFTER"]) {
        yield* sql.unsafe(`CREATE TRIGGER cut_${side.toLowerCase()} ${side} DELETE ON ${table}
          FOR EACH STATEMENT EXECUTE FUNCTION cut()`)
      }
    }
  }).pipe(Effect.orDie)

const unplant = SqlClient.use((sql) => Effect.orDie(sql`DROP FUNCTION cut CASCADE`))
