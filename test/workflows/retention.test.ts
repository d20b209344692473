/** What is old is forgotten: what is live, asleep or kept to go back to is not, however old. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { IdempotencyKey, VariableName } from "@deploy-mcp/domain/model/Names"
import { BuildWorld } from "@deploy-mcp/providers/build/memory/BuildMemory"
import { testing } from "@deploy-mcp/runtime/compositions/testing"
import { Platform } from "@deploy-mcp/runtime/Platform"
import * as Forgetting from "@deploy-mcp/runtime/retention/Retention"
import { Retention } from "@deploy-mcp/runtime/retention/Retention"
import { forPlatform } from "@deploy-mcp/runtime/store/Owned"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { UsageStore } from "@deploy-mcp/runtime/store/UsageStore"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { homeOf, untilQuiet } from "./Retained.ts"
import { type Between, type Scene, scene, web } from "./Scene.ts"

const hour = 3_600_000

onEachDatabase((fresh) => {
  /** A control plane that forgets what ended a moment ago, when it is asked to. */
  const control = (home: string, databaseUrl: string | undefined, between?: Between) =>
    Layer.provideMerge(
      forPlatform(Forgetting.layer({ first: null, every: 0, batch: 3, pause: 0 })),
      testing(home, {
        databaseUrl,
        // Longer than a workflow sleeps without having it written down.
        trashRetention: 90_000,
        keptHistory: 0,
        ...(between === undefined ? {} : { between })
      })
    )
  const against = <A, E>(
    test: Effect.Effect<A, E, Layer.Success<ReturnType<typeof control>>>,
    between?: Between
  ) =>
    Effect.gen(function* () {
      const home = yield* homeOf
      return yield* test.pipe(Effect.provide(control(home, fresh(), between)))
    }).pipe(Effect.scoped)

  describe("retention", () => {
    it.live(
      "leaves what is live, what can be gone back to and the newest; their past is whole",
      () =>
        Effect.suspend(() => {
          let held = false
          return against(
            Effect.gen(function* () {
              const it = yield* scene
              const sql = yield* SqlClient
              const { prune } = yield* Retention
              const { home, keptReleases } = yield* Platform
              const last = keptReleases + 4
              for (let number = 1; number < last; number += 1) yield* deploy(it, `${number}`)
              held = true
              it.commit({ page: "never planned" })
              yield* it.redeploy()
              yield* it.asOwner(Deployments.use(({ cancel }) => cancel({ name: web })))
              held = false
              yield* untilQuiet

              const { id } = yield* it.row(1)
              const log = join(home, "logs", "deployments", `${id}.ndjson`)
              assert.isTrue(existsSync(log))
              const pruned = yield* prune
              const left = (yield* it.list()).map(({ number }) => number)
              assert.deepStrictEqual(
                left,
                Array.from({ length: keptReleases + 2 }, (_, index) => last - index)
              )
              assert.strictEqual(pruned.deployments, last - left.length)
              assert.isFalse(existsSync(log))
              const { replay } = yield* Deployments
              for (const number of left.slice(1)) {
                assert.isNotEmpty((yield* it.asOwner(replay({ name: web, number }))).steps)
              }
              const [runs] = yield* sql<{ n: number }>`SELECT COUNT(*) AS n FROM cluster_messages
            WHERE tag = 'run' AND entity_type = 'Workflow/DeployService'`
              assert.isAtMost(Number(runs?.n), left.length)
              const [loose] = yield* sql<{ n: number }>`SELECT COUNT(*) AS n FROM cluster_replies
            WHERE request_id NOT IN (SELECT id FROM cluster_messages)`
              assert.strictEqual(Number(loose?.n), 0)

              const gone = yield* Effect.flip(it.asOwner(replay({ name: web, number: 1 })))
              assert.strictEqual(gone.failure.code, "not_found")
              assert.match(gone.failure.cause, /web#1 is not kept any more/u)
              assert.deepStrictEqual(yield* prune, nothing)
              const services = yield* Services
              const oldest = left.at(-1)
              assert(oldest !== undefined)
              yield* it.asOwner(services.rollback({ name: web, to: oldest }))
              assert.strictEqual((yield* it.settled()).status, "live")
            }),
            (steps) => ({
              ...steps,
              planBuild: (id) => (held ? Effect.never : steps.planBuild(id))
            })
          )
        })
    )

    it.live(
      "lets a removal sleep to its end, forgets it after that, and nothing begins again",
      () =>
        Effect.gen(function* () {
          const home = yield* homeOf
          const databaseUrl = fresh()
          yield* Effect.gen(function* () {
            const it = yield* scene
            const sql = yield* SqlClient
            const { prune } = yield* Retention
            yield* deploy(it, "A")
            yield* it.remove()
            yield* untilQuiet
            assert.deepStrictEqual(yield* prune, nothing)
            yield* sql`UPDATE cluster_messages SET deliver_at = 1 WHERE deliver_at IS NOT NULL`
            yield* Effect.repeat(sql<{ n: number }>`SELECT COUNT(*) AS n FROM services`, {
              schedule: Schedule.spaced("50 millis"),
              until: ([row]) => Number(row?.n) === 0
            }).pipe(Effect.timeout("15 seconds"))
            yield* untilQuiet
            yield* Effect.repeat(prune, {
              schedule: Schedule.spaced("50 millis"),
              until: () => Effect.map(journalled, (n) => n === 0)
            }).pipe(Effect.timeout("10 seconds"))
          }).pipe(Effect.provide(control(home, databaseUrl), { local: true }))
          yield* Effect.gen(function* () {
            yield* Effect.sleep("1 second")
            assert.strictEqual(yield* journalled, 0)
            assert.strictEqual((yield* BuildWorld).builds.size, 0)
          }).pipe(Effect.provide(control(home, databaseUrl), { local: true }))
        }).pipe(Effect.scoped)
    )

    it.live("leaves a workflow that sleeps though nothing waits for it any more", () =>
      against(
        Effect.gen(function* () {
          const it = yield* scene
          const sql = yield* SqlClient
          const { prune } = yield* Retention
          const { restore } = yield* Services
          yield* deploy(it, "A")
          yield* it.remove()
          yield* untilQuiet
          yield* it.asOwner(restore({ name: web }))
          yield* it.settled()
          yield* untilQuiet
          assert.strictEqual((yield* prune).workflows, 0)
          yield* sql`UPDATE cluster_messages SET deliver_at = 1 WHERE deliver_at IS NOT NULL`
          yield* Effect.repeat(prune, {
            schedule: Schedule.spaced("50 millis"),
            until: ({ workflows }) => workflows === 1
          }).pipe(Effect.timeout("10 seconds"))
        })
      )
    )

    it.live("starts no deployment again whose past is forgotten", () =>
      Effect.gen(function* () {
        const home = yield* homeOf
        const databaseUrl = fresh()
        const before = yield* Effect.gen(function* () {
          const it = yield* scene
          for (let number = 1; number <= 8; number += 1) yield* deploy(it, `${number}`)
          yield* untilQuiet
          assert.strictEqual((yield* (yield* Retention).prune).deployments, 2)
          return yield* journalled
        }).pipe(Effect.provide(control(home, databaseUrl), { local: true }))
        yield* Effect.gen(function* () {
          yield* Effect.sleep("1 second")
          assert.strictEqual(yield* journalled, before)
        }).pipe(Effect.provide(control(home, databaseUrl), { local: true }))
      }).pipe(Effect.scoped)
    )

    it.live("keeps an idempotency key for its day, and what it answers with", () =>
      against(
        Effect.gen(function* () {
          const it = yield* scene
          const sql = yield* SqlClient
          const { prune } = yield* Retention
          const { redeploy } = yield* Services
          yield* deploy(it, "1")
          const again = it.asOwner(
            redeploy({ name: web, idempotencyKey: IdempotencyKey.make("k") })
          )
          const { number } = yield* again
          assert.strictEqual((yield* it.settled()).status, "live")
          for (let page = 2; page <= 8; page += 1) yield* deploy(it, `${page}`)
          yield* untilQuiet
          yield* prune
          assert.strictEqual((yield* again).number, number)
          yield* sql`UPDATE idempotency SET created_at = created_at - ${25 * hour}`
          assert.strictEqual((yield* prune).keys, 1)
          assert.isEmpty((yield* it.list()).filter((one) => one.number === number))
          assert.notStrictEqual((yield* again).number, number)
        })
      )
    )

    it.live("takes of a deployment what docs/retention.md states", () =>
      against(
        Effect.gen(function* () {
          const it = yield* scene
          const { database } = yield* UsageStore
          for (let page = 1; page <= 10; page += 1) yield* deploy(it, `${page}`)
          yield* untilQuiet
          const before = yield* database
          for (let page = 11; page <= 60; page += 1) yield* deploy(it, `${page}`)
          yield* untilQuiet
          const each = ((yield* database) - before) / 50
          assert.isAbove(each, 1024)
          assert.isAtMost(each, 16 * 1024)
        })
      )
    )

    it.live("forgets older values of variables that no release holds", () =>
      against(
        Effect.gen(function* () {
          const it = yield* scene
          const { prune } = yield* Retention
          const { update } = yield* Services
          const { keptReleases } = yield* Platform
          const TOKEN = VariableName.make("TOKEN")
          yield* deploy(it, "1")
          const values = keptReleases + 4
          for (let value = 1; value <= values; value += 1) {
            const variables = { [TOKEN]: Redacted.make(`${value}`) }
            yield* it.asOwner(update({ name: web, settings: {}, variables }))
            assert.strictEqual((yield* it.settled()).status, "live")
          }
          yield* untilQuiet
          assert.strictEqual((yield* prune).variables, values - keptReleases - 1)
          const services = yield* Services
          yield* it.asOwner(services.rollback({ name: web }))
          assert.strictEqual((yield* it.settled()).status, "live")
        })
      )
    )
  })
})

const nothing = { deployments: 0, workflows: 0, variables: 0, keys: 0 }

const deploy = Effect.fnUntraced(function* (it: Scene, page: string) {
  it.commit({ page })
  yield* (yield* it.list().pipe(Effect.orElseSucceed(() => []))).length === 0
    ? it.create()
    : it.redeploy()
  assert.strictEqual((yield* it.settled()).status, "live")
})

const journalled = SqlClient.use((sql) =>
  Effect.map(sql<{ n: number }>`SELECT COUNT(*) AS n FROM cluster_messages`, ([row]) =>
    Number(row?.n)
  )
)
