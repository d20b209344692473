/**
 * The route switch is the commit point and the row is its fence: before it a cancel or a failure takes
 * everything back, after it nothing does.
 */

import { Failure } from "@deploy-mcp/domain/Failure"
import type { DeploymentId, OwnerId } from "@deploy-mcp/domain/model/Ids"
import { DeploymentStore } from "@deploy-mcp/runtime/store/DeploymentStore"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { Coordinator } from "@deploy-mcp/runtime/workflows/Coordinator"
import { DeploymentFailed } from "@deploy-mcp/runtime/workflows/DeploymentFailed"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schedule } from "effect"
import { around, type StepName, steps, type When } from "./Boundary.ts"
import { type Against, againstOn, type Scene, scene } from "./Scene.ts"

const failed = new DeploymentFailed({ failure: Failure.of("internal", "planted by a test") })

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  describe("each boundary", () => {
    for (const step of steps) {
      for (const when of ["before", "after"] as const) {
        const committed = step === "moveRoute" && when === "after"

        it.live(`a cancel ${when} ${step} ${committed ? "comes too late" : "takes it back"}`, () =>
          disturb(
            against,
            step,
            when,
            (id, owner) =>
              Effect.gen(function* () {
                const coordinator = yield* Coordinator
                const store = yield* DeploymentStore
                // The cancel ends the step that this runs in, so it may not be waited for here.
                yield* Effect.forkDetach(coordinator.cancel(owner, id))
                yield* Effect.repeat(store.byId(owner, id), {
                  until: ({ status }) => status === "cancelled" || status === "committed"
                })
              }),
            committed ? "live" : "cancelled"
          )
        )

        it.live(
          `a failure ${when} ${step} ${committed ? "changes nothing" : "takes it back"}`,
          () =>
            disturb(against, step, when, () => Effect.fail(failed), committed ? "live" : "failed")
        )
      }
    }
  })

  describe("200 deployments with cancels swept over their length", () => {
    it.live(
      "are live or leave the old release: none is mixed",
      () =>
        against(
          Effect.gen(function* () {
            const it = yield* scene
            const coordinator = yield* Coordinator
            it.commit({ page: "0" })
            yield* it.create()
            yield* it.settled()
            const length = yield* lengthOf(it)
            const seen = new Map<string, number>()
            for (let turn = 1; turn <= 200; turn++) {
              it.commit({ page: `${turn}` })
              const queued = yield* it.redeploy()
              const { id } = yield* it.row(queued.number)
              yield* Effect.sleep((length * 2 * turn) / 200)
              const cancelled = yield* coordinator.cancel(it.owner, id)
              const ended = yield* it.settled(undefined, queued.number)
              assert.strictEqual(ended.status, cancelled ? "cancelled" : "live", `turn ${turn}`)
              seen.set(ended.status, (seen.get(ended.status) ?? 0) + 1)
              yield* agreement(it)
            }
            assert.isAbove(seen.get("cancelled") ?? 0, 20)
            assert.isAbove(seen.get("live") ?? 0, 5)
          })
        ),
      120_000
    )
  })
})

/** A first release goes live; then something happens at one boundary of the second deployment. */
const disturb = (
  against: Against,
  step: StepName,
  when: When,
  event: (
    id: DeploymentId,
    owner: OwnerId
  ) => Effect.Effect<void, DeploymentFailed, Coordinator | DeploymentStore>,
  expected: "live" | "cancelled" | "failed"
) => {
  let armed: ((id: DeploymentId) => Effect.Effect<void, DeploymentFailed>) | null = null
  return against(
    Effect.gen(function* () {
      const it = yield* scene
      const context = yield* Effect.context<Coordinator | DeploymentStore>()
      const first = it.commit({ page: "old" })
      yield* it.create()
      yield* it.settled()
      armed = (id) => event(id, it.owner).pipe(Effect.provideContext(context))
      it.commit({ page: "new" })
      const { number } = yield* it.redeploy()
      yield* it.settled()
      yield* it.quiet((yield* it.row(number)).id)
      yield* agreement(it)
      yield* expectOutcome(it, first, expected)
    }),
    { between: (real) => around(real, step, when, (id) => armed?.(id) ?? Effect.void) }
  )
}

const routeOf = ({ node }: Scene) => [...node.stages.values()][0]?.route ?? null

/** Rows and node say the same, and nothing runs that nobody wants. Compensation may still be under way. */
const agreement = (it: Scene) =>
  Effect.gen(function* () {
    const live = (yield* it.list()).filter((deployment) => deployment.status === "live")
    assert.strictEqual(live.length, 1)
    yield* Effect.repeat(
      Effect.sync(() => it.node.running.size),
      {
        schedule: Schedule.spaced("5 millis"),
        until: (running) => running === 1
      }
    ).pipe(Effect.timeout("5 seconds"))
    assert.deepStrictEqual([...it.node.running.keys()], [routeOf(it)])
  })

const expectOutcome = (
  { list }: Scene,
  oldCommit: string,
  status: "live" | "cancelled" | "failed"
) =>
  Effect.map(list(), ([newest, first]) => {
    assert.strictEqual(newest?.status, status)
    assert.strictEqual(first?.commit, oldCommit)
    assert.strictEqual(first?.status, status === "live" ? "replaced" : "live")
  })

/** Milliseconds that an undisturbed deployment takes here, the best of three. */
const lengthOf = (it: Scene) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    for (const page of ["a", "b", "c"]) {
      it.commit({ page })
      const start = yield* Clock.currentTimeMillis
      yield* it.redeploy()
      yield* it.settled()
      times.push((yield* Clock.currentTimeMillis) - start)
    }
    return Math.min(...times)
  })
