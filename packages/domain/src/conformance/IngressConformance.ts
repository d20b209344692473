/**
 * What "implements Ingress" means:
 *
 *     IngressConformance.suite("mine", layer, { world, get, endpoint, site })
 */
import { assert, layer as withLayer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schedule, type Scope, Stream } from "effect"
import { Ingress, type RouteSpec } from "../Ingress.ts"
import type { StageId } from "../model/Ids.ts"
import type { EndpointWorkload, StaticWorkload } from "../node/NodeProtocol.ts"
import { labelOf, newStage, routeOf } from "./IngressSamples.ts"
import * as Laws from "./Laws.ts"

export interface IngressConformanceOptions<W> {
  /** What outlives an instance of the provider. Made once for the suite. */
  readonly world: Layer.Layer<W, unknown>
  /** What a visitor of a hostname, by its label, is answered with 200; null for every other answer. */
  readonly get: (label: string) => Effect.Effect<string | null, unknown, W>
  /** A real HTTP server that asks `answer` for each request; it closes with the scope. */
  readonly endpoint: (
    answer: Effect.Effect<string>
  ) => Effect.Effect<EndpointWorkload, unknown, W | Scope.Scope>
  /** A folder whose page is this text. */
  readonly site: (text: string) => Effect.Effect<StaticWorkload, unknown, W | Scope.Scope>
  /** The provider on a wire that carries every `ensure` and loses the reply to it. */
  readonly deaf?: Layer.Layer<Ingress, unknown, W>
}

export const suite = <W>(
  name: string,
  provider: Layer.Layer<Ingress, unknown, W>,
  { world, get, endpoint, site, deaf }: IngressConformanceOptions<W>
): void => {
  let epoch = 0

  /** A new control: a new instance that attaches with a higher epoch. */
  const through =
    (layer: Layer.Layer<Ingress, unknown, W>): Laws.Instance<Ingress | Seen, W> =>
    (use) =>
      Effect.gen(function* () {
        const seen = new Map<StageId, number>()
        const greeted = yield* Deferred.make<void>()
        epoch += 1
        const observations = (yield* Ingress).attach(epoch)
        yield* Stream.runForEach(observations, (observed) => {
          if (observed.type === "route") seen.set(observed.stage, observed.generation)
          return observed.type === "hello" ? Deferred.succeed(greeted, undefined) : Effect.void
        }).pipe(Effect.forkScoped)
        yield* Deferred.await(greeted)
        return yield* Effect.provideService(use, Seen, seen)
      }).pipe(Effect.scoped, (effect) =>
        Effect.provide(effect, Layer.fresh(layer), { local: true })
      )
  const control = through(provider)
  const serve = (text: string) => endpoint(Effect.succeed(text))
  const kinds = { address: serve, folder: site } as const
  const both = ["address", "folder"] as const

  /** Moves a stage between two targets with rising generations, as rows do; a row is there before it is told. */
  const seesaw = Effect.fnUntraced(function* (kind: keyof typeof kinds) {
    const stage = newStage()
    const targets = [yield* kinds[kind]("old"), yield* kinds[kind]("new")] as const
    let row = routeOf(stage, 1, targets[0])
    const lead = (to: 0 | 1) =>
      Effect.suspend(() => {
        const before = row
        row = routeOf(stage, before.generation + 1, targets[to], to)
        const next = row
        return Effect.andThen(snapshot(before), ensure(next))
      })
    return { change: lead(1), undo: lead(0), look: get(labelOf(stage)) }
  })

  const gone = (stage: StageId) =>
    get(labelOf(stage)).pipe(
      Effect.flatMap((found) => (found === null ? Effect.void : Effect.fail(found))),
      Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 500 })
    )

  withLayer(world, { excludeTestServices: true })(`${name} is an Ingress`, (it) => {
    it.effect.each(both)(
      "leads visitors to what it is told, again, and by a new control: %s",
      (kind) =>
        Effect.gen(function* () {
          const stage = newStage()
          const route = routeOf(stage, 1, yield* kinds[kind]("one"))
          yield* control(
            Effect.gen(function* () {
              yield* snapshot()
              for (const _ of ["once", "again"]) {
                yield* ensure(route)
                assert.strictEqual(yield* get(labelOf(stage)), "one")
              }
            })
          )
          assert.strictEqual(yield* get(labelOf(stage)), "one", "led there without a control")
          yield* control(snapshot(route))
          assert.strictEqual(yield* get(labelOf(stage)), "one")
        })
    )

    it.effect.each(both)("comes to the same end again, told by a new control: %s", (kind) =>
      Effect.flatMap(seesaw(kind), ({ change, look }) =>
        Laws.converges({ instance: control, change, look }, "new")
      )
    )

    it.effect.each(both)("leaves nothing half made when it is interrupted: %s", (kind) =>
      Effect.flatMap(seesaw(kind), ({ change, look, undo }) =>
        Laws.leavesNothingHalfMade({ instance: control, change, look }, undo)
      )
    )

    it.effect("leaves what a newer generation says, whatever an older one wants", () =>
      Effect.gen(function* () {
        const stage = newStage()
        const older = routeOf(stage, 1, yield* serve("old"))
        const newer = routeOf(stage, 2, yield* serve("new"), 1)
        yield* control(
          Effect.gen(function* () {
            yield* Effect.andThen(snapshot(older), ensure(newer))
            yield* Ingress.use((ingress) => ingress.ensure(older))
            assert.strictEqual(yield* get(labelOf(stage)), "new", "an older route")
            yield* Ingress.use((ingress) => ingress.remove(stage, older.generation))
            assert.strictEqual(yield* get(labelOf(stage)), "new", "an older removal")
            yield* snapshot(older)
            assert.strictEqual(yield* get(labelOf(stage)), "new", "an older snapshot")
          })
        )
      })
    )

    it.effect("fails no request of the clients that run while the target moves", () =>
      Effect.gen(function* () {
        const stage = newStage()
        const targets = [
          { text: "a", to: yield* serve("a") },
          { text: "b", to: yield* serve("b") },
          { text: "c", to: yield* site("c") }
        ] as const
        yield* control(
          Effect.gen(function* () {
            yield* snapshot(routeOf(stage, 1, targets[0].to))
            const bad: Array<string> = []
            let allowed = ["a"]
            let served = 0
            const client = Effect.gen(function* () {
              const before = allowed
              const answer = yield* get(labelOf(stage))
              served += 1
              // The route may move while a request is on its way.
              if (![...before, ...allowed].some((text) => text === answer)) bad.push(`${answer}`)
            }).pipe(Effect.forever)
            const clients = yield* Effect.forEach(Array.from({ length: 8 }), () =>
              Effect.forkChild(client)
            )
            for (let generation = 2; generation < 12; generation += 1) {
              const from = served
              yield* until("clients are served", () => served >= from + clients.length)
              const index = (generation - 1) % targets.length
              const { text, to } = targets[index] ?? targets[0]
              allowed = [...allowed.slice(-1), text]
              yield* ensure(routeOf(stage, generation, to, index))
              allowed = [text]
              assert.strictEqual(yield* get(labelOf(stage)), text)
            }
            yield* Fiber.interruptAll(clients)
            assert.deepEqual(bad, [])
          })
        )
      })
    )

    it.effect("lets a request that is under way end where it began", () =>
      Effect.gen(function* () {
        const stage = newStage()
        const entered = yield* Deferred.make<void>()
        const answer = yield* Deferred.make<string>()
        const slow = Effect.andThen(Deferred.succeed(entered, undefined), Deferred.await(answer))
        const first = routeOf(stage, 1, yield* endpoint(slow))
        const second = routeOf(stage, 2, yield* serve("new"), 1)
        yield* control(
          Effect.gen(function* () {
            yield* snapshot(first)
            const visitor = yield* Effect.forkChild(get(labelOf(stage)))
            yield* Deferred.await(entered)
            yield* ensure(second)
            assert.strictEqual(yield* get(labelOf(stage)), "new")
            yield* Deferred.succeed(answer, "from where it began")
            assert.strictEqual(yield* Fiber.join(visitor), "from where it began")
          })
        )
      })
    )

    it.effect("follows a release to another address", () =>
      Effect.gen(function* () {
        const stage = newStage()
        const here = routeOf(stage, 1, yield* serve("here"))
        const there = routeOf(stage, 2, yield* serve("there"))
        yield* control(
          Effect.gen(function* () {
            yield* snapshot(here)
            assert.strictEqual(yield* get(labelOf(stage)), "here")
            yield* ensure(there)
            assert.strictEqual(yield* get(labelOf(stage)), "there")
          })
        )
      })
    )

    it.effect("answers for a target that nobody listens at, until it is led elsewhere", () =>
      Effect.gen(function* () {
        const stage = newStage()
        const dead = yield* Effect.scoped(serve("never seen"))
        const works = yield* serve("works")
        yield* control(
          Effect.gen(function* () {
            yield* snapshot(routeOf(stage, 1, dead))
            assert.isNull(yield* get(labelOf(stage)))
            yield* ensure(routeOf(stage, 2, works, 1))
            assert.strictEqual(yield* get(labelOf(stage)), "works")
          })
        )
      })
    )

    it.effect("leads each hostname that is listed, and no other", () =>
      Effect.gen(function* () {
        const stage = newStage()
        const to = yield* serve("shop")
        const hostnames = [labelOf(stage), `also-${labelOf(stage)}`]
        const [kept = "", taken = ""] = hostnames
        yield* control(
          Effect.gen(function* () {
            yield* snapshot({ ...routeOf(stage, 1, to), hostnames })
            assert.deepEqual([yield* get(kept), yield* get(taken)], ["shop", "shop"])
            yield* ensure(routeOf(stage, 2, to))
            assert.deepEqual([yield* get(kept), yield* get(taken)], ["shop", null])
          })
        )
      })
    )

    it.effect("leads nowhere while nothing is live", () =>
      Effect.gen(function* () {
        const stage = newStage()
        const live = routeOf(stage, 2, yield* serve("live"))
        yield* control(
          Effect.gen(function* () {
            yield* snapshot({ ...live, generation: 1, target: null })
            assert.isNull(yield* get(labelOf(stage)))
            yield* ensure(live)
            assert.strictEqual(yield* get(labelOf(stage)), "live")
            yield* ensure({ ...live, generation: 3, target: null })
            assert.isNull(yield* get(labelOf(stage)))
          })
        )
      })
    )

    it.effect("removes what a snapshot does not list", () =>
      Effect.gen(function* () {
        const [stays, goes] = [newStage(), newStage()]
        const kept = routeOf(stays, 1, yield* serve("stays"))
        yield* control(snapshot(kept, routeOf(goes, 1, yield* site("goes"))))
        assert.strictEqual(yield* get(labelOf(goes)), "goes")
        yield* control(Effect.andThen(snapshot(kept), gone(goes)))
        assert.strictEqual(yield* get(labelOf(stays)), "stays")
      })
    )

    it.effect("removes a route, one that is gone, and one that never was", () =>
      Effect.gen(function* () {
        const stage = newStage()
        const route = routeOf(stage, 1, yield* serve("here"))
        const remove = Ingress.use((ingress) => ingress.remove(stage, 2))
        yield* control(
          Effect.gen(function* () {
            yield* snapshot(route)
            assert.strictEqual(yield* get(labelOf(stage)), "here")
            yield* Effect.andThen(remove, gone(stage))
            yield* Effect.andThen(remove, settled(stage, 2))
            yield* Ingress.use((ingress) => ingress.remove(newStage(), 1))
          })
        )
        yield* control(Effect.andThen(snapshot(), gone(stage)))
      })
    )

    if (deaf !== undefined) {
      it.effect("did what it was told although nobody heard the answer", () =>
        Effect.flatMap(seesaw("address"), ({ change, look, undo }) =>
          Effect.andThen(
            control(undo),
            Laws.survivesLostReply({ instance: control, change, look }, through(deaf), "new")
          )
        )
      )
    }
  })
}

/** The newest generation of each stage that a control has been told of. */
class Seen extends Context.Service<Seen, Map<StageId, number>>()(
  "@deploy-mcp/domain/IngressConformance/Seen"
) {}

const snapshot = (...routes: ReadonlyArray<RouteSpec>) =>
  Ingress.use((ingress) => ingress.snapshot(routes)).pipe(
    Effect.andThen(Effect.forEach(routes, (route) => settled(route.stage, route.generation)))
  )

const ensure = (route: RouteSpec) =>
  Ingress.use((ingress) => ingress.ensure(route)).pipe(
    Effect.andThen(settled(route.stage, route.generation))
  )

const settled = (stage: StageId, generation: number) =>
  Seen.use((seen) =>
    until(`${stage} at ${generation}`, () => (seen.get(stage) ?? -1) >= generation)
  )

const until = (what: string, isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (isSo() ? Effect.void : Effect.fail(`${what}: it never came to this`))).pipe(
    Effect.retry({ schedule: Schedule.spaced("5 millis"), times: 4000 }),
    Effect.orDie
  )
