import { IdempotencyKey, ServiceName } from "@deploy-mcp/domain/model/Names"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { against, codeOf, names, planOf, variables, web } from "./testing/CommandWorld.ts"

const noChange = { name: web, settings: {}, variables: {} }

describe("update_service", () => {
  it.live("merges variables, removes the named ones and leaves the others", () =>
    against(({ asOwner, commit, create, describe, list, services, settled }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        yield* create({ variables: variables({ A: "1", B: "2", C: "3" }) })
        yield* settled()
        const changed = yield* asOwner(
          services.update({
            ...noChange,
            variables: variables({ B: "two", D: "4" }),
            removeVariables: names("C", "NEVER")
          })
        )
        assert.deepStrictEqual(changed.changed, ["env_vars.B", "env_vars.D", "env_vars.C removed"])
        assert.deepStrictEqual([changed.revision, changed.rebuild], [2, true])
        assert.deepStrictEqual(
          (yield* describe).env.map(({ name, value }) => `${name}=${value}`),
          ["A=1", "B=two", "D=4"]
        )
        assert.strictEqual((yield* settled()).status, "live")
        const causes = (yield* list).map(({ cause, status }) => [cause, status])
        assert.deepStrictEqual(causes, [
          ["settings", "live"],
          ["create", "replaced"]
        ])
      })
    )
  )

  it.live("builds again only for what a build can see", () =>
    against(({ asOwner, commit, create, describe, services, settled }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        yield* create({
          variables: variables({ SEEN: "1", HIDDEN: "1" }),
          runtimeOnly: names("HIDDEN")
        })
        yield* settled()
        const logAfter = Effect.fnUntraced(function* (
          change: Partial<Parameters<typeof services.update>[0]>
        ) {
          const { rebuild } = yield* asOwner(services.update({ ...noChange, ...change }))
          assert.strictEqual((yield* settled()).status, "live")
          return [rebuild, (yield* describe).deploy_log.map(({ text }) => text).join()]
        })
        const reused = "nothing changed since the last build; its output is used again"
        const built = "building in memory"
        assert.deepStrictEqual(yield* logAfter({ variables: variables({ HIDDEN: "2" }) }), [
          false,
          reused
        ])
        assert.deepStrictEqual(yield* logAfter({ settings: { memory: 512 } }), [false, reused])
        assert.deepStrictEqual(yield* logAfter({ variables: variables({ SEEN: "2" }) }), [
          true,
          built
        ])
        assert.deepStrictEqual(yield* logAfter({ runtimeOnly: names("SEEN") }), [true, built])
        const { env } = yield* describe
        assert.deepStrictEqual(
          env.map(({ name, value, runtime_only }) => [name, value, runtime_only]),
          [
            ["HIDDEN", "2", true],
            ["SEEN", "2", true]
          ]
        )
      })
    )
  )

  it.live("hides a new variable from builds, and a hidden one stays hidden when it changes", () =>
    against(({ asOwner, create, describe, services }) =>
      Effect.gen(function* () {
        yield* create()
        const put = (value: string, runtimeOnly: ReturnType<typeof names>) =>
          asOwner(services.update({ ...noChange, variables: variables({ V: value }), runtimeOnly }))
        assert.isFalse((yield* put("1", names("V"))).rebuild)
        assert.isFalse((yield* put("2", [])).rebuild)
        const [variable] = (yield* describe).env
        assert.deepStrictEqual([variable?.value, variable?.runtime_only], ["2", true])
      })
    )
  )

  it.live("merges changes that come at the same moment", () =>
    against(({ asOwner, create, describe, services }) =>
      Effect.gen(function* () {
        yield* create()
        yield* Effect.forEach(
          ["A", "B", "C", "D"],
          (name) =>
            asOwner(services.update({ ...noChange, variables: variables({ [name]: "1" }) })),
          { concurrency: "unbounded" }
        )
        const { env, revision } = yield* describe
        assert.deepStrictEqual([env.map(({ name }) => name).join(""), revision], ["ABCD", 5])
      })
    )
  )

  it.live("resets a setting, and changes nothing when all is so already", () =>
    against(({ asOwner, commit, create, describe, list, services, settled }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        yield* create({ settings: { memory: 512, start_command: "node x.js" } })
        yield* settled()
        yield* asOwner(services.update({ ...noChange, reset: ["memory", "start_command"] }))
        yield* settled()
        assert.deepStrictEqual((yield* describe).settings, {
          build_pack: "auto",
          memory: 256,
          cpu: 1
        })
        const again = yield* asOwner(services.update({ ...noChange, settings: { memory: 256 } }))
        assert.deepStrictEqual([again.changed, again.revision], [[], 2])
        assert.strictEqual((yield* list).length, 2)
        assert.strictEqual((yield* create()).created, false)
      })
    )
  )

  it.live("changes what it does when nobody asks without a build, and shows it", () =>
    against(({ asOwner, commit, create, describe, services, settled }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        yield* create()
        yield* settled()
        const same = yield* asOwner(
          services.update({ ...noChange, settings: { mode: "persistent" } })
        )
        assert.deepStrictEqual(same.changed, [])
        const again = yield* create({ settings: { mode: "persistent", idle_after: 900 } })
        assert.isFalse(again.created)
        const settings = { mode: "on_demand", idle_after: 60 } as const
        const { changed, rebuild } = yield* asOwner(services.update({ ...noChange, settings }))
        assert.isFalse(rebuild)
        assert.deepStrictEqual(changed, ["mode: persistent → on_demand", "idle_after: 900 → 60"])
        yield* settled()
        assert.strictEqual((yield* describe).settings.idle_after, 60)
      })
    )
  )

  it.live("refuses a revision that is not the present one, and shows that", () =>
    against(({ asOwner, create, services }) =>
      Effect.gen(function* () {
        yield* create()
        const change = { ...noChange, settings: { memory: 512 }, expectedRevision: 1 }
        yield* asOwner(services.update(change))
        const { failure } = yield* Effect.flip(
          asOwner(services.update({ ...change, settings: { memory: 1024 } }))
        )
        assert.strictEqual(failure.code, "settings_changed")
        assert.include(JSON.stringify(failure.current), '"revision":2')
        assert.include(JSON.stringify(failure.current), '"memory":512')
      })
    )
  )

  it.live("names what is wrong and changes nothing", () =>
    against(({ asOwner, create, describe, services }) =>
      Effect.gen(function* () {
        yield* create({ variables: variables({ A: "1" }) })
        const refused = (change: Partial<Parameters<typeof services.update>[0]>) =>
          codeOf(asOwner(services.update({ ...noChange, ...change })))
        assert.deepStrictEqual(
          [
            yield* refused({ variables: variables({ PATH: "x" }) }),
            yield* refused({ runtimeOnly: names("B") }),
            yield* refused({ variables: variables({ A: "2" }), removeVariables: names("A") }),
            yield* refused({ settings: { memory: 64 }, reset: ["memory"] }),
            yield* refused({ name: ServiceName.make("none") })
          ],
          [
            "variable_reserved",
            "invalid_argument",
            "invalid_argument",
            "invalid_argument",
            "not_found"
          ]
        )
        assert.strictEqual((yield* describe).revision, 1)
      })
    )
  )

  it.live("with a key happens once; with plan not at all", () =>
    against(({ asOwner, commit, create, describe, list, services, settled }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        yield* create()
        yield* settled()
        const idempotencyKey = IdempotencyKey.make("once")
        const change = { ...noChange, settings: { memory: 512 }, idempotencyKey }
        const words = yield* planOf(asOwner(services.update(change)))
        assert.include(words.join(), "memory: 256 → 512")
        assert.include(words.join(), "without a build")
        assert.strictEqual((yield* describe).revision, 1)
        yield* asOwner(services.update(change))
        yield* asOwner(services.update({ ...noChange, settings: { memory: 300 } }))
        yield* asOwner(services.update(change))
        assert.strictEqual((yield* describe).settings.memory, 300)
        yield* settled()
        assert.strictEqual((yield* list).length, 3)
        const other = asOwner(services.update({ ...change, settings: { memory: 64 } }))
        const { failure } = yield* Effect.flip(other)
        assert.strictEqual(failure.code, "idempotency_conflict")
        assert.include(JSON.stringify(failure.current), '"memory":300')
      })
    )
  )
})
