/** Going back: rollback, cancel, restore. */
import { HostLabel, IdempotencyKey, ServiceName } from "@deploy-mcp/domain/model/Names"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schedule } from "effect"
import { against, codeOf, planOf, variables, web } from "./testing/CommandWorld.ts"

const me = { name: web }
const noChange = { name: web, settings: {}, variables: {} }

describe("rollback_service", () => {
  it.live("brings the release before back, with its settings and variables, without a build", () =>
    against(({ asOwner, commit, create, describe, node, push, services, settled }) =>
      Effect.gen(function* () {
        const a = commit({ page: "A" })
        yield* create({ variables: variables({ V: "old" }) })
        yield* settled()
        const [first] = [...node.stages.values()]
        yield* asOwner(
          services.update({
            ...noChange,
            settings: { memory: 512 },
            variables: variables({ V: "new" })
          })
        )
        yield* settled()
        yield* push({ page: "B" })
        const planned = yield* planOf(asOwner(services.rollback({ ...me, to: 1 })))
        assert.include(planned.join(), "web#1")
        const queued = yield* asOwner(services.rollback({ ...me, to: 1 }))
        assert.deepStrictEqual([queued.cause, queued.commit, queued.number], ["rollback", a, 4])
        assert.strictEqual((yield* settled()).status, "live")
        const { deploy_log, live_commit, settings } = yield* describe
        assert.include(deploy_log.map(({ text }) => text).join(), "nothing is built")
        assert.strictEqual(live_commit, a)
        // The service's own settings wait for the next deployment.
        assert.strictEqual(settings.memory, 512)
        const [now] = [...node.stages.values()]
        const workloads = [first, now].map((stage) =>
          stage?.releases.map(({ workload }) => workload)
        )
        const memories = workloads.map((all) =>
          all?.map((w) => (w.kind === "process" ? w.memory : 0))
        )
        assert.deepStrictEqual(memories, [[256], [256]])
        assert.strictEqual(node.running.size, 1)
      })
    )
  )

  it.live("stays against a late event of the same head; the next push deploys again", () =>
    against(({ asOwner, commit, create, list, push, services, settled }) =>
      Effect.gen(function* () {
        const a = commit({ page: "A" })
        yield* create()
        yield* settled()
        yield* push({ page: "B" })
        yield* asOwner(services.rollback(me))
        yield* settled()
        yield* push({ page: "B" })
        assert.deepStrictEqual(
          (yield* list).map(({ commit, status }) => [commit === a, status])[0],
          [true, "live"]
        )
        assert.strictEqual((yield* list).length, 3)
        // A change of settings keeps what was gone back to.
        yield* asOwner(services.update({ ...noChange, settings: { memory: 512 } }))
        assert.deepStrictEqual([(yield* settled()).commit, (yield* list).length], [a, 4])
        yield* push({ page: "B" })
        assert.strictEqual((yield* list).length, 4)
        yield* push({ page: "C" })
        assert.strictEqual((yield* list)[0]?.cause, "push")
        assert.strictEqual((yield* settled()).status, "live")
        // To redeploy is to ask for the branch.
        yield* asOwner(services.rollback(me))
        yield* settled()
        const { commit: head } = yield* asOwner(services.redeploy(me))
        assert.notStrictEqual(head, a)
      })
    )
  )

  it.live("to what is not kept, or never was live, names what can be gone back to", () =>
    against(({ asOwner, commit, create, list, push, services, settled }) =>
      Effect.gen(function* () {
        commit({ page: "0" })
        yield* create()
        yield* settled()
        assert.strictEqual(yield* codeOf(asOwner(services.rollback(me))), "cannot_roll_back")
        for (let turn = 1; turn <= 7; turn++) yield* push({ page: `${turn}` })
        yield* push({ page: "broken", "build-fails": "" })
        const causeOf = (to: number) =>
          Effect.map(Effect.flip(asOwner(services.rollback({ ...me, to }))), ({ failure }) => [
            failure.code,
            failure.cause,
            failure.evidence.length
          ])
        // Collection runs behind a deployment; it is over when the oldest build is gone.
        yield* Effect.repeat(
          Effect.map(planOf(asOwner(services.rollback({ ...me, to: 1 }))), ([first]) => first),
          { until: (first) => first === "cannot_roll_back" }
        ).pipe(Effect.timeout("10 seconds"))
        assert.deepStrictEqual(
          [yield* causeOf(1), yield* causeOf(8), yield* causeOf(9)],
          [
            ["cannot_roll_back", "to: the build of web#1 is not kept any more.", 5],
            ["cannot_roll_back", "to: web#8 is live already.", 5],
            ["cannot_roll_back", "to: web#9 never was live.", 5]
          ]
        )
        assert.strictEqual((yield* list).length, 9)
        const idempotencyKey = IdempotencyKey.make("back")
        const one = yield* asOwner(services.rollback({ ...me, idempotencyKey }))
        yield* settled()
        const two = yield* asOwner(services.rollback({ ...me, idempotencyKey }))
        assert.deepStrictEqual([one.number, two.number, two.status], [10, 10, "live"])
      })
    )
  )
})

describe("cancel_deployment", () => {
  it.live("ends what is not live; the release before stays; too late says so", () =>
    against(({ asOwner, commit, create, deployments, describe, list, services, settled }) =>
      Effect.gen(function* () {
        const a = commit({ page: "A" })
        yield* create()
        yield* settled()
        assert.strictEqual(yield* codeOf(asOwner(deployments.cancel(me))), "too_late")
        commit({ page: "B", "never-answers": "" })
        yield* asOwner(services.redeploy(me))
        yield* Effect.repeat(list, { until: ([newest]) => newest?.phase === "health" })
        assert.include((yield* planOf(asOwner(deployments.cancel(me)))).join(), "cancels web#2")
        assert.strictEqual((yield* list)[0]?.status, "running")
        assert.strictEqual((yield* asOwner(deployments.cancel(me))).status, "cancelled")
        assert.strictEqual((yield* asOwner(deployments.cancel(me))).status, "cancelled")
        assert.strictEqual((yield* describe).live_commit, a)
        assert.strictEqual(
          yield* codeOf(asOwner(deployments.cancel({ ...me, number: 7 }))),
          "not_found"
        )
      })
    )
  )
})

describe("restore_service", () => {
  it.live("brings name, hostname, variables and the last live release back", () =>
    against(({ asOwner, commit, create, describe, node, push, services, settled }) =>
      Effect.gen(function* () {
        const a = commit({ page: "A" })
        yield* create({ variables: variables({ V: "kept" }) })
        yield* settled()
        const planned = yield* planOf(asOwner(services.remove(me)))
        assert.include(planned.join(), "http://web.localhost:8080 stops answering")
        const { next } = yield* asOwner(services.remove(me))
        assert.include(next, "restore_service with name web")
        assert.strictEqual(node.stages.size, 0)
        const [trashed] = yield* asOwner(services.trash({}))
        assert.deepStrictEqual([trashed?.name, trashed?.hostname], [web, "web"])
        // What is pushed meanwhile is not deployed by the restore.
        yield* push({ page: "B" })
        assert.include((yield* planOf(asOwner(services.restore(me)))).join(), "restores 'web'")
        const { restored, service } = yield* asOwner(services.restore(me))
        assert.deepStrictEqual([restored, service.url], [true, "http://web.localhost:8080"])
        const settledOne = yield* settled()
        assert.deepStrictEqual(
          [settledOne.status, settledOne.cause, settledOne.commit],
          ["live", "restore", a]
        )
        const { env } = yield* describe
        assert.deepStrictEqual(
          env.map(({ value }) => value),
          ["kept"]
        )
        assert.deepStrictEqual(yield* asOwner(services.trash({})), [])
        assert.strictEqual((yield* asOwner(services.restore(me))).restored, false)
        yield* push({ page: "C" })
        assert.strictEqual((yield* settled()).status, "live")
        assert.strictEqual(node.running.size, 1)
      })
    )
  )

  it.live("makes the removal let go: nothing is purged when the retention is over", () =>
    against(
      ({ asOwner, commit, create, describe, services, settled }) =>
        Effect.gen(function* () {
          commit({ page: "A" })
          yield* create()
          yield* settled()
          yield* asOwner(services.remove(me))
          const [trashed] = yield* asOwner(services.trash({}))
          const over = Date.parse(trashed?.restorable_until ?? "") + 500
          yield* asOwner(services.restore(me))
          yield* Effect.repeat(Clock.currentTimeMillis, {
            schedule: Schedule.spaced("50 millis"),
            until: (now) => now > over
          })
          assert.strictEqual((yield* settled()).status, "live")
          assert.strictEqual((yield* describe).status, "live")
        }),
      2000
    )
  )

  it.live("asks for another hostname when the old one is taken, and for the name to be free", () =>
    against(({ asOwner, create, services }) =>
      Effect.gen(function* () {
        yield* create()
        yield* asOwner(services.remove(me))
        yield* create()
        assert.strictEqual(yield* codeOf(asOwner(services.restore(me))), "name_taken")
        yield* asOwner(services.remove(me))
        const web2 = ServiceName.make("web-2")
        yield* create({ name: web2 })
        yield* asOwner(services.restore(me))
        assert.strictEqual(
          yield* codeOf(asOwner(services.restore({ name: ServiceName.make("none") }))),
          "not_found"
        )
        yield* asOwner(services.remove(me))
        yield* asOwner(services.remove({ name: web2 }))
        const hostname = HostLabel.make("web")
        yield* asOwner(services.restore({ name: web2, hostname }))
        const { failure } = yield* Effect.flip(asOwner(services.restore(me)))
        assert.strictEqual(failure.code, "hostname_taken")
        const other = HostLabel.make(String(failure.patch?.hostname))
        const { service } = yield* asOwner(services.restore({ ...me, hostname: other }))
        assert.strictEqual(service.url, `http://${other}.localhost:8080`)
      })
    )
  )

  it.live("with the key of the delete before it is not undone by a retry of that delete", () =>
    against(({ asOwner, create, describe, services }) =>
      Effect.gen(function* () {
        yield* create()
        const remove = services.remove({ ...me, idempotencyKey: IdempotencyKey.make("rm") })
        yield* asOwner(remove)
        yield* asOwner(services.restore(me))
        assert.isTrue((yield* asOwner(remove)).removed)
        assert.strictEqual((yield* describe).name, web)
      })
    )
  )
})
