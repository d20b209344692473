/** Going back to an earlier release, also when a version began it that took other steps. */
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { testing } from "@deploy-mcp/runtime/compositions/testing"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import type { DeploySteps } from "@deploy-mcp/runtime/workflows/DeploySteps"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { around } from "./Boundary.ts"
import { homeOf } from "./Retained.ts"
import { type Between, type Scene, scene, web } from "./Scene.ts"

onEachDatabase((fresh) => {
  describe("a rollback", () => {
    it.live("takes one step until its release is healthy, and one to move the route", () =>
      Effect.gen(function* () {
        const home = yield* homeOf
        yield* Effect.gen(function* () {
          const it = yield* scene
          yield* twice(it)
          yield* it.asOwner(Services.use(({ rollback }) => rollback({ name: web })))
          assert.strictEqual((yield* it.settled(web, 3)).status, "live")
          const { phases, steps } = yield* it.asOwner(
            Deployments.use(({ replay }) => replay({ name: web }))
          )
          const taken = steps.filter(({ workflow }) => workflow === "DeployService")
          assert.deepStrictEqual(
            taken.map(({ name }) => name),
            ["bringBack", "moveRoute"]
          )
          assert.deepStrictEqual(
            phases.map(({ phase }) => phase),
            ["queued", "start", "health", "route"]
          )
        }).pipe(Effect.provide(testing(home, { databaseUrl: fresh() })))
      }).pipe(Effect.scoped)
    )

    for (const step of ["planBuild", "recordRelease", "awaitHealthy", "moveRoute"] as const) {
      it.live(`that an older version began comes to its end when it was cut off in ${step}`, () =>
        Effect.gen(function* () {
          const home = yield* homeOf
          const databaseUrl = fresh()
          const cut = yield* Deferred.make<void>()
          const older = asBefore((steps, isRollback) =>
            around(steps, step, "after", () =>
              isRollback()
                ? Effect.andThen(Deferred.succeed(cut, undefined), Effect.never)
                : Effect.void
            )
          )
          yield* Effect.gen(function* () {
            const it = yield* scene
            yield* twice(it)
            older.begin()
            yield* it.asOwner(Services.use(({ rollback }) => rollback({ name: web })))
            yield* Deferred.await(cut)
          }).pipe(
            Effect.provide(testing(home, { databaseUrl, between: older.between }), { local: true })
          )
          yield* Effect.gen(function* () {
            const it = yield* scene
            assert.strictEqual((yield* it.settled(web, 3)).status, "live")
            const row = yield* it.row(3)
            yield* it.quiet(row.id)
            const [stage] = it.node.stages.values()
            assert.strictEqual(stage?.route, row.releaseId)
            assert.deepStrictEqual([...it.node.running.keys()], [row.releaseId])
            const { steps } = yield* it.asOwner(
              Deployments.use(({ replay }) => replay({ name: web, number: 3 }))
            )
            const failed = steps.filter(({ outcome }) => outcome === "failed")
            assert.deepStrictEqual(failed, [])
            const sql = yield* SqlClient
            const states = yield* sql<{ state: string }>`SELECT state FROM releases ORDER BY number`
            assert.deepStrictEqual(
              states.map(({ state }) => state),
              ["retired", "retired", "live"]
            )
          }).pipe(Effect.provide(testing(home, { databaseUrl }), { local: true }))
        }).pipe(Effect.scoped)
      )
    }
  })
})

const twice = Effect.fnUntraced(function* (it: Scene) {
  it.commit({ page: "one" })
  yield* it.create()
  yield* it.settled(web, 1)
  it.commit({ page: "two" })
  yield* it.redeploy()
  yield* it.settled(web, 2)
  // Its last step may still be on its way: what is to be cut off comes after it.
  yield* it.quiet((yield* it.row(2)).id)
})

/** Steps as they were: a rollback planned what there was, found it built, recorded it and awaited it. */
const asBefore = (
  cut: (steps: DeploySteps["Service"], isRollback: () => boolean) => DeploySteps["Service"]
) => {
  let isRollback = false
  let first: Effect.Success<ReturnType<DeploySteps["Service"]["planBuild"]>> | undefined
  const between: Between = (steps) =>
    cut(
      {
        ...steps,
        bringsBack: () => Effect.succeed(false),
        planBuild: (id) =>
          isRollback && first !== undefined
            ? Effect.succeed(first)
            : Effect.tap(steps.planBuild(id), (planned) =>
                Effect.sync(() => {
                  first ??= planned
                })
              )
      },
      () => isRollback
    )
  return {
    between,
    begin: () => {
      isRollback = true
    }
  }
}
