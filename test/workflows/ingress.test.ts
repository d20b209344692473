/** Releases that run where hostnames are not served: an ingress is led to them, and nothing is cut. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { IngressWorld } from "@deploy-mcp/providers/ingress/memory/IngressMemory"
import { testing } from "@deploy-mcp/runtime/compositions/testing"
import { assert, describe, it } from "@effect/vitest"
import { type Config, Effect, Fiber, Layer, Schedule } from "effect"
import { Elsewhere, elsewhereIn } from "./IngressScene.ts"
import { scene } from "./Scene.ts"

type World = Elsewhere | IngressWorld

/** The node and the ingress outlive a control; each `life` is one. */
const machine = <A, E>(
  test: (
    life: <B, F>(
      use: Effect.Effect<B, F, Layer.Success<ReturnType<typeof testing>> | World>
    ) => Effect.Effect<B, F | Config.ConfigError>
  ) => Effect.Effect<A, E, World>
) =>
  Effect.gen(function* () {
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-elsewhere-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const doubles = yield* Layer.build(elsewhereIn(home))
    const control = testing(home, { doubles: Layer.succeedContext(doubles) })
    return yield* test((use) =>
      use.pipe(Effect.provide(control, { local: true }), Effect.provideContext(doubles))
    ).pipe(Effect.provideContext(doubles))
  }).pipe(Effect.scoped)

/** The one route that there is. */
const theRoute = Effect.gen(function* () {
  const { routes } = yield* IngressWorld
  assert.strictEqual(routes.size, 1)
  const [route] = routes.values()
  assert(route !== undefined)
  return route
})

/** Until `is` holds of what is really there. */
const eventually = (is: () => boolean) =>
  Effect.sync(is).pipe(
    Effect.repeat({ schedule: Schedule.spaced("5 millis"), until: (so) => so }),
    Effect.timeout("10 seconds")
  )

describe("a deploy that leaves hostnames to an ingress", () => {
  it.live("a program is led to where it is reached, and moves without a cut", () =>
    machine((life) =>
      life(
        Effect.gen(function* () {
          const it = yield* scene
          const { cut, endpointOf, kinds } = yield* Elsewhere
          const { targets } = yield* IngressWorld
          it.commit({ program: "A" })
          yield* it.create()
          assert.strictEqual((yield* it.settled()).status, "live")
          for (const program of ["B", "C"]) {
            it.commit({ program })
            yield* it.redeploy()
            assert.strictEqual((yield* it.settled()).status, "live")
          }
          const { hostnames, stage, target } = yield* theRoute
          assert(target !== null)
          assert.deepStrictEqual(hostnames, ["web"])
          assert.deepStrictEqual(target.to, endpointOf(target.release))
          yield* eventually(() => it.node.running.size === 1)
          assert.deepStrictEqual([...it.node.running.keys()], [target.release])
          assert.strictEqual(it.node.stages.get(stage)?.route, target.release)
          assert.deepStrictEqual([...kinds], ["process"])
          assert.strictEqual(new Set(targets.get(stage)?.map((one) => one?.release)).size, 4)
          assert.deepStrictEqual(cut, [])
          yield* it.remove()
          yield* eventually(() => it.node.running.size === 0)
          assert.deepStrictEqual(cut, [])
        })
      )
    )
  )

  it.live("a site is served by the ingress, and the node never hears of it", () =>
    machine((life) =>
      life(
        Effect.gen(function* () {
          const it = yield* scene
          const { cut, kinds } = yield* Elsewhere
          it.commit({ "index.html": "A" })
          yield* it.create()
          assert.strictEqual((yield* it.settled()).status, "live")
          assert.strictEqual((yield* theRoute).target?.to.kind, "static")
          assert.strictEqual(it.node.running.size, 0)
          assert.strictEqual(kinds.size, 0)
          // It becomes a program and a site again.
          it.commit({ program: "B" })
          yield* it.redeploy()
          assert.strictEqual((yield* it.settled()).status, "live")
          assert.strictEqual((yield* theRoute).target?.to.kind, "endpoint")
          assert.strictEqual(it.node.running.size, 1)
          it.commit({ "index.html": "C" })
          yield* it.redeploy()
          assert.strictEqual((yield* it.settled()).status, "live")
          assert.strictEqual((yield* theRoute).target?.to.kind, "static")
          yield* eventually(() => it.node.running.size === 0)
          assert.deepStrictEqual([...kinds], ["process"])
          assert.deepStrictEqual(cut, [])
        })
      )
    )
  )

  it.live("a release that is started again is followed to its new address", () =>
    machine((life) =>
      life(
        Effect.gen(function* () {
          const it = yield* scene
          const { endpointOf, restart } = yield* Elsewhere
          const { routes } = yield* IngressWorld
          it.commit({ program: "A" })
          yield* it.create()
          yield* it.settled()
          const { generation, stage, target } = yield* theRoute
          assert(target !== null)
          const before = endpointOf(target.release)
          restart(stage, target.release)
          const after = endpointOf(target.release)
          assert.notDeepEqual(after, before)
          yield* eventually(() => {
            const to = routes.get(stage)?.target?.to
            return to?.kind === "endpoint" && to.port === after.port
          })
          assert.isAbove((yield* theRoute).generation, generation)
          assert.strictEqual((yield* theRoute).target?.release, target.release)
        })
      )
    )
  )

  it.live("a new control leaves visitors where they are", () =>
    machine((life) =>
      Effect.gen(function* () {
        const { cut } = yield* Elsewhere
        const { targets } = yield* IngressWorld
        const first = yield* life(
          Effect.gen(function* () {
            const it = yield* scene
            it.commit({ program: "A" })
            yield* it.create()
            yield* it.settled()
            return yield* theRoute
          })
        )
        const had = targets.get(first.stage)?.length
        yield* life(
          Effect.gen(function* () {
            const it = yield* scene
            yield* eventually(() => it.node.running.size === 1)
            it.commit({ program: "B" })
            assert.strictEqual(targets.get(first.stage)?.length, had)
            yield* it.redeploy()
            assert.strictEqual((yield* it.settled()).status, "live")
          })
        )
        assert.notDeepEqual((yield* theRoute).target, first.target)
        assert.deepStrictEqual(cut, [])
      })
    )
  )

  it.live("nothing is taken from the node while the ingress is away", () =>
    machine((life) =>
      life(
        Effect.gen(function* () {
          const it = yield* scene
          const { cut, ingress } = yield* Elsewhere
          it.commit({ program: "A" })
          yield* it.create()
          yield* it.settled()
          const { target } = yield* theRoute
          ingress.leave()
          it.commit({ program: "B" })
          yield* it.redeploy()
          yield* it.remove()
          assert(target !== null)
          assert.isTrue(it.node.running.has(target.release))
          assert.deepStrictEqual((yield* theRoute).target, target)
          ingress.return()
          yield* eventually(() => it.node.running.size === 0)
          assert.deepStrictEqual(cut, [])
        })
      )
    )
  )

  it.live("a deployment waits for an ingress that is away and goes on when it is back", () =>
    machine((life) =>
      life(
        Effect.gen(function* () {
          const it = yield* scene
          const { cut, ingress } = yield* Elsewhere
          it.commit({ program: "A" })
          yield* it.create()
          yield* it.settled()
          const { target } = yield* theRoute
          ingress.leave()
          it.commit({ program: "B" })
          yield* it.redeploy()
          const ended = yield* Effect.forkChild(it.settled())
          assert.deepStrictEqual([...it.node.running.keys()], [target?.release])
          ingress.return()
          assert.strictEqual((yield* Fiber.join(ended)).status, "live")
          assert.notStrictEqual((yield* theRoute).target?.release, target?.release)
          yield* eventually(() => it.node.running.size === 1)
          assert.deepStrictEqual(cut, [])
        })
      )
    )
  )
})
