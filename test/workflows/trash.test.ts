/** A deleted service serves nothing at once, and is forgotten for good when its retention is over. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Build } from "@deploy-mcp/domain/Build"
import { doublesIn, testing } from "@deploy-mcp/runtime/compositions/testing"
import { Platform } from "@deploy-mcp/runtime/Platform"
import { ServiceStore } from "@deploy-mcp/runtime/store/ServiceStore"
import { TrashStore } from "@deploy-mcp/runtime/store/TrashStore"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { againstOn, scene } from "./Scene.ts"

const temporaryHome = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-trash-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  describe("the trash", () => {
    it.live("is emptied: rows, artifacts and logs go, those of others stay", () =>
      against(
        Effect.gen(function* () {
          const it = yield* scene
          const sql = yield* SqlClient
          const { home } = yield* Platform
          it.commit({ page: "A" })
          yield* it.create()
          yield* it.settled()
          yield* it.remove()
          assert.strictEqual(it.node.running.size, 0)
          yield* it.create()
          assert.strictEqual((yield* it.settled()).status, "live")
          yield* untilServices(sql, 1)
          const [left] = yield* sql<{ n: number }>`SELECT COUNT(*) AS n FROM deployments`
          assert.strictEqual(left?.n, 1)
          assert.strictEqual(readdirSync(join(home, "logs", "deployments")).length, 1)
          assert.strictEqual(it.node.running.size, 1)
          assert.strictEqual((yield* it.redeploy()).cause, "redeploy")
          assert.strictEqual((yield* it.settled()).status, "live")
        })
      )
    )

    it.live("is emptied too when control died before it could see to that", () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const databaseUrl = fresh()
        const control = testing(home, { databaseUrl })
        yield* Effect.gen(function* () {
          const it = yield* scene
          it.commit({ page: "A" })
          yield* it.create()
          yield* it.settled()
          const sql = yield* SqlClient
          const services = yield* ServiceStore
          const [service] = yield* services.all(it.owner)
          assert(service !== undefined)
          yield* sql.withTransaction(services.trash(service.ownerId, service))
        }).pipe(Effect.provide(control, { local: true }))
        yield* Effect.gen(function* () {
          const sql = yield* SqlClient
          yield* untilServices(sql, 0)
          assert.deepStrictEqual(readdirSync(join(home, "artifacts")), [])
        }).pipe(Effect.provide(control, { local: true }))
      }).pipe(Effect.scoped)
    )
    it.live("takes along no build that a new service is about to use", () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const [begun, go] = [yield* Latch.make(false), yield* Latch.make(false)]
        const slow = Layer.effect(
          Build,
          Effect.map(Build, (build) => ({
            ...build,
            remove: (key: Parameters<typeof build.remove>[0]) =>
              begun.open.pipe(Effect.andThen(go.await), Effect.andThen(build.remove(key)))
          }))
        ).pipe(Layer.provideMerge(doublesIn(home)))
        yield* Effect.gen(function* () {
          const it = yield* scene
          it.commit({ page: "A" })
          yield* it.create()
          yield* it.settled()
          yield* it.remove()
          yield* begun.await
          yield* it.create()
          // It comes as far as it can, while the old one's build is on its way out.
          const settled = yield* Effect.forkChild(it.settled())
          yield* Fiber.join(settled).pipe(Effect.timeoutOption("1 second"))
          yield* go.open
          assert.strictEqual((yield* it.settled()).status, "live")
          yield* untilServices(yield* SqlClient, 1)
          const kept = readdirSync(join(home, "artifacts"))
          assert.strictEqual(kept.filter((name) => !name.endsWith(".json")).length, 1)
        }).pipe(
          Effect.provide(testing(home, { databaseUrl: fresh(), doubles: slow }), { local: true })
        )
      }).pipe(Effect.scoped)
    )

    it.live("takes along no build that a new service has found and is about to start", () =>
      Effect.gen(function* () {
        const home = yield* temporaryHome
        const go = yield* Latch.make(true)
        let found = 0
        const held = Layer.effect(
          Build,
          Effect.map(Build, (build) => ({
            ...build,
            // Of a deployment that finds its build, the first look is as it claims it, the second as it records its release.
            find: (key: Parameters<typeof build.find>[0]) =>
              Effect.suspend(() => (++found % 2 === 1 ? Effect.void : go.await)).pipe(
                Effect.andThen(build.find(key))
              )
          }))
        ).pipe(Layer.provideMerge(doublesIn(home)))
        yield* Effect.gen(function* () {
          const it = yield* scene
          it.commit({ page: "A" })
          yield* it.create()
          yield* it.settled()
          yield* it.remove()
          found = 0
          yield* go.close
          yield* it.create()
          yield* untilServices(yield* SqlClient, 1)
          yield* go.open
          assert.strictEqual((yield* it.settled()).status, "live")
        }).pipe(
          Effect.provide(testing(home, { databaseUrl: fresh(), doubles: held }), { local: true })
        )
      }).pipe(Effect.scoped)
    )

    it.live(
      "is not there to be restored from once its end has begun, which is cut off and goes on",
      () =>
        Effect.gen(function* () {
          const home = yield* temporaryHome
          const databaseUrl = fresh()
          const begun = yield* Latch.make(false)
          const never = Layer.effect(
            Build,
            Effect.map(Build, (build) => ({
              ...build,
              remove: () => Effect.andThen(begun.open, Effect.never)
            }))
          ).pipe(Layer.provideMerge(doublesIn(home)))
          yield* Effect.gen(function* () {
            const it = yield* scene
            it.commit({ page: "A" })
            yield* it.create()
            yield* it.settled()
            yield* it.remove()
            yield* begun.await
            const trash = yield* TrashStore
            assert.deepStrictEqual(yield* trash.list(it.owner, null, 0), [])
          }).pipe(Effect.provide(testing(home, { databaseUrl, doubles: never }), { local: true }))
          yield* Effect.gen(function* () {
            yield* untilServices(yield* SqlClient, 0)
            assert.deepStrictEqual(readdirSync(join(home, "artifacts")), [])
          }).pipe(Effect.provide(testing(home, { databaseUrl }), { local: true }))
        }).pipe(Effect.scoped)
    )
  })
})

const untilServices = (sql: SqlClient, wanted: number) =>
  Effect.repeat(sql<{ n: number }>`SELECT COUNT(*) AS n FROM services`, {
    schedule: Schedule.spaced("50 millis"),
    until: ([row]) => row?.n === wanted
  }).pipe(Effect.timeout("15 seconds"))
