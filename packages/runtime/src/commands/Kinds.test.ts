/** Services that have no port: what they can be told, what they are shown as, and how they change. */
import { IdempotencyKey } from "@deploy-mcp/domain/model/Names"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import type { StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { against, planOf, web } from "./testing/CommandWorld.ts"

const update = (
  settings: Partial<ServiceSettings>,
  reset: ReadonlyArray<keyof ServiceSettings> = []
) => ({
  name: web,
  settings,
  reset,
  variables: {}
})
const nightly = "30 3 * * *"
const only = (stages: Iterable<StageSpec>) => {
  const [stage] = stages
  assert(stage !== undefined)
  return stage
}

describe("a service without a port", () => {
  it.live("is a worker that no hostname leads to, and has no URL", () =>
    against(({ commit, create, describe, node, settled }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        const { service } = yield* create({ settings: { type: "worker" } })
        assert.isNull(service.url)
        const deployment = yield* settled()
        assert.deepStrictEqual(
          [deployment.status, deployment.url, deployment.try],
          ["live", null, null]
        )
        assert.match(deployment.next, /no URL: get_logs/u)
        const shown = yield* describe
        assert.deepStrictEqual(
          [shown.type, shown.mode, shown.url, shown.schedule],
          ["worker", "persistent", null, null]
        )
        assert.match(shown.next, /get_logs/u)
        const { hostnames, releases } = only(node.stages.values())
        assert.deepStrictEqual(hostnames, [])
        assert.include(releases[0]?.workload, { listens: false })
      })
    )
  )

  it.live("becomes a webapp and a worker again; its hostname waits for it", () =>
    against(({ asOwner, commit, create, describe, node, services, settled }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        yield* create()
        yield* settled()
        const { url } = yield* describe
        const become = Effect.fnUntraced(function* (...change: Parameters<typeof update>) {
          yield* asOwner(services.update(update(...change)))
          assert.strictEqual((yield* settled()).status, "live")
          const shown = yield* describe
          const { hostnames } = only(node.stages.values())
          return [shown.type, shown.url, hostnames.length] as const
        })
        assert.deepStrictEqual(yield* become({ type: "worker" }), ["worker", null, 0])
        assert.deepStrictEqual(yield* become({ type: "backend" }), ["backend", url, 1])
        assert.deepStrictEqual(yield* become({ schedule: nightly }, ["type"]), ["worker", null, 0])
        assert.strictEqual((yield* describe).mode, "scheduled")
        yield* asOwner(services.rollback({ name: web, to: 3 }))
        assert.strictEqual((yield* settled()).status, "live")
        const back = yield* describe
        assert.deepStrictEqual([back.type, back.url, back.schedule], ["backend", url, null])
      })
    )
  )

  it.live("on a schedule says when it is due; another schedule is no build", () =>
    against(({ asOwner, commit, create, describe, node, services, settled }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        const first = yield* create({ settings: { schedule: nightly } })
        yield* settled()
        const shown = yield* describe
        assert.deepStrictEqual([shown.type, shown.mode], ["worker", "scheduled"])
        assert.strictEqual(shown.schedule?.cron, nightly)
        assert.match(shown.schedule?.next_run ?? "", /T03:30:00\.000Z$/u)
        assert.isNull(shown.schedule?.last_run)
        assert.match(shown.next, /The next run is due at .*T03:30/u)
        const again = yield* create({ settings: { schedule: nightly, time_limit: 3_600 } })
        assert.deepStrictEqual([first.created, again.created], [true, false])
        const changed = yield* asOwner(
          services.update(update({ schedule: "0 4 * * *", time_limit: 60 }))
        )
        assert.deepStrictEqual(changed.changed, [
          "schedule: 30 3 * * * → 0 4 * * *",
          "time_limit: 3600 → 60"
        ])
        assert.isFalse(changed.rebuild)
        yield* settled()
        assert.match((yield* describe).schedule?.next_run ?? "", /T04:00/u)
        const [release] = only(node.stages.values()).releases
        assert.deepStrictEqual(
          release?.workload.kind === "process" ? release.workload.schedule : null,
          { cron: "0 4 * * *", limit: 60_000 }
        )
        const back = yield* asOwner(services.update(update({}, ["schedule", "time_limit"])))
        assert.isTrue(back.rebuild)
      })
    )
  )

  it.live("is refused what would do nothing, with the setting and what to do", () =>
    against(({ asOwner, create, services }) =>
      Effect.gen(function* () {
        const cases: ReadonlyArray<readonly [Partial<ServiceSettings>, RegExp]> = [
          [{ type: "worker", mode: "on_demand" }, /^mode: it says nothing of a worker/u],
          [{ type: "worker", idle_after: 60 }, /^idle_after: /u],
          [{ type: "worker", port: 80 }, /^port: /u],
          [{ schedule: nightly, mode: "persistent" }, /^mode: .*schedule/u],
          [{ schedule: nightly, type: "webapp" }, /^schedule: a service of type 'webapp' always/u],
          [{ time_limit: 5 }, /^time_limit: .*has a schedule/u],
          [{ type: "webapp_static", mode: "on_demand" }, /^mode: it says nothing of files/u],
          [{ type: "webapp_static", start_command: "x" }, /^start_command: /u],
          [{ type: "worker", build_pack: "static" }, /^build_pack: static makes files/u]
        ]
        for (const [settings, words] of cases) {
          const { failure } = yield* Effect.flip(create({ settings }))
          assert.strictEqual(failure.code, "invalid_argument")
          assert.match(failure.cause, words)
          assert.match(failure.next, /^(Leave|Give)/u)
        }
        yield* create({ settings: { mode: "on_demand" } })
        const { failure } = yield* Effect.flip(asOwner(services.update(update({ type: "worker" }))))
        assert.match(failure.next, /update_service with reset \["mode"\]/u)
        const changed = yield* asOwner(services.update(update({ type: "worker" }, ["mode"])))
        assert.strictEqual(changed.revision, 2)
        const plan = yield* planOf(asOwner(services.remove({ name: web })))
        assert.match(plan[0] ?? "", /it runs no more/u)
        const key = IdempotencyKey.make("a-key-of-eight")
        assert.isTrue((yield* asOwner(services.remove({ name: web, idempotencyKey: key }))).removed)
      })
    )
  )

  it.live("fails in so many words where the node can't run one, and what is live stays", () =>
    against(({ asOwner, commit, create, describe, node, services, settled }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        yield* create()
        yield* settled()
        node.restart(undefined)
        for (const settings of [{ type: "worker" }, { schedule: nightly }] as const) {
          yield* asOwner(services.update(update(settings, "schedule" in settings ? ["type"] : [])))
          const { failure, status } = yield* settled()
          assert.deepStrictEqual([status, failure?.code], ["failed", "kind_unsupported"])
          assert.match(failure?.cause ?? "", /runs no services without a port/u)
        }
        assert.strictEqual((yield* describe).type, "webapp")
        const { releases, route } = only(node.stages.values())
        assert.deepStrictEqual([releases.length, releases[0]?.release], [1, route])
      })
    )
  )
})
