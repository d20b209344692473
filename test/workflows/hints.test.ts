/** The row is the promise and a push is only a hint: what is deployed is what the branch says now. */
import { BranchName, ServiceName } from "@deploy-mcp/domain/model/Names"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { againstOn, scene, web } from "./Scene.ts"

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  describe("a push", () => {
    it.live("back to an older commit is deployed again (A, B, A)", () =>
      against(
        Effect.gen(function* () {
          const { commit, create, hint, list, settled } = yield* scene
          const a = commit({ page: "A" })
          yield* create()
          yield* settled()
          const b = commit({ page: "B" })
          yield* hint()
          commit({ page: "A" })
          yield* hint()
          const commits = (yield* list()).map((deployment) => [
            deployment.commit,
            deployment.status
          ])
          assert.deepStrictEqual(commits, [
            [a, "live"],
            [b, "replaced"],
            [a, "replaced"]
          ])
        })
      )
    )

    it.live("that comes late or twice changes nothing", () =>
      against(
        Effect.gen(function* () {
          const { commit, create, hint, list, settled } = yield* scene
          commit({ page: "A" })
          yield* create()
          yield* settled()
          yield* hint()
          yield* Effect.all([hint(), hint(), hint()], { concurrency: "unbounded" })
          assert.strictEqual((yield* list()).length, 1)
        })
      )
    )

    it.live("of one commit to two branches deploys both their services", () =>
      against(
        Effect.gen(function* () {
          const { commit, create, hint, settled } = yield* scene
          const next = BranchName.make("next")
          const preview = ServiceName.make("preview")
          yield* create()
          yield* create(preview, next)
          const a = commit({ page: "A" })
          assert.strictEqual(commit({ page: "A" }, next), a)
          yield* hint()
          yield* hint(next)
          assert.deepStrictEqual(
            [(yield* settled(web)).status, (yield* settled(preview)).status],
            ["live", "live"]
          )
        })
      )
    )

    it.live("after a failure of the same commit tries again, and the old release stays live", () =>
      against(
        Effect.gen(function* () {
          const { commit, create, hint, list, node, settled } = yield* scene
          commit({ page: "A" })
          yield* create()
          yield* settled()
          const [before] = [...node.stages.values()].map((stage) => stage.route)
          commit({ page: "B", "never-healthy": "" })
          const first = yield* hint()
          const second = yield* hint()
          const statuses = (yield* list()).map((deployment) => deployment.status)
          assert.deepStrictEqual(statuses, ["failed", "failed", "live"])
          assert.include(first.join("\n"), "web#2: failed in start: exited")
          assert.include(second.join("\n"), "  | boom")
          const [after] = [...node.stages.values()].map((stage) => stage.route)
          assert.strictEqual(after, before)
          assert.strictEqual(node.running.size, 1)
        })
      )
    )

    it.live("while another is under way wins, and the older one is superseded", () =>
      against(
        Effect.gen(function* () {
          const { commit, create, hint, list } = yield* scene
          yield* create()
          commit({ page: "A", "never-answers": "" })
          const first = yield* Effect.forkChild(hint())
          yield* Effect.repeat(list(), {
            until: ([newest]) => newest?.phase === "health"
          })
          commit({ page: "B" })
          yield* hint()
          const lines = yield* Fiber.join(first)
          assert.include(lines.join("\n"), "web#1: superseded")
          const statuses = (yield* list()).map((deployment) => deployment.status)
          assert.deepStrictEqual(statuses, ["live", "superseded"])
        })
      )
    )

    it.live("to a service that was deleted deploys nothing", () =>
      against(
        Effect.gen(function* () {
          const { commit, create, hint, node, remove, settled } = yield* scene
          commit({ page: "A" })
          yield* create()
          yield* settled()
          yield* remove()
          const lines = yield* hint()
          assert.include(lines.join("\n"), "Nothing deploys from main")
          assert.strictEqual(node.stages.size, 0)
          assert.strictEqual(node.running.size, 0)
          const again = yield* create()
          assert.strictEqual(again.created, true)
          assert.strictEqual((yield* settled()).status, "live")
        })
      )
    )
  })
})
