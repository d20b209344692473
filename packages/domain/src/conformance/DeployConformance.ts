/**
 * What "implements Deploy" means:
 *
 *     DeployConformance.suite("mine", layer, { world, get, site, doomed })
 *
 * Visitors of a provider that routes come by hostname, those of another one to the endpoint that it tells.
 */
import { assert, layer as withLayer } from "@effect/vitest"
import { Clock, Deferred, Effect, Layer, Schedule, type Scope, Stream } from "effect"
import { Deploy, type Observation } from "../Deploy.ts"
import type { ReleaseId, StageId } from "../model/Ids.ts"
import type { LogSearch } from "../model/LogLine.ts"
import type {
  EdgeHello,
  EndpointWorkload,
  ImageWorkload,
  ProcessWorkload,
  ReleaseObserved,
  StageSpec,
  Workload
} from "../node/NodeProtocol.ts"
import { stageOf, worker, yearly } from "./DeploySamples.ts"
import * as Laws from "./Laws.ts"

export interface DeployWorld<W> {
  /** What outlives an instance of the provider: a node. Made once for the suite. */
  readonly world: Layer.Layer<W, unknown>
  /** What a visitor gets; null where nothing is served. */
  readonly get: (door: Door) => Effect.Effect<string | null, unknown, W>
  /** Something to run whose page is this text. */
  readonly site: (text: string) => Effect.Effect<Workload, unknown, W | Scope.Scope>
  /** Something that prints a line and never becomes healthy. */
  readonly doomed: Effect.Effect<Workload, unknown, W | Scope.Scope>
  /**
   * A program whose page is this text, with a worker `clock` that prints `<text> works` and, when it is
   * asked to end, `<text> has ended`. Absent: the provider runs no programs.
   */
  readonly working?: (text: string) => Effect.Effect<Workload, unknown, W | Scope.Scope>
  /**
   * A worker without a port that goes on until it is asked to end. Absent: the provider must refuse
   * one, and what is on a schedule, with `Unsupported`.
   */
  readonly portless?: Effect.Effect<ProcessWorkload | ImageWorkload, unknown, W | Scope.Scope>
}

export interface Door {
  /** Of the hostname. */
  readonly label: string
  /** Of the routed release, where it was told last; null: it never was. */
  readonly endpoint: EndpointWorkload | null
}

export const suite = <W>(
  name: string,
  provider: Layer.Layer<Deploy, unknown, W>,
  { world, get, site, doomed, working, portless }: DeployWorld<W>
): void => {
  let epoch = 0
  const endpoints = new Map<ReleaseId, EndpointWorkload>()

  const visit = (spec: StageSpec) =>
    get({
      label: spec.hostnames[0] ?? "",
      endpoint: (spec.route === null ? null : endpoints.get(spec.route)) ?? null
    })

  /** A new control: a new instance that attaches with a higher epoch and tells the whole state. */
  const control = <A, E, R>(
    stages: ReadonlyArray<StageSpec>,
    use: (control: Control) => Effect.Effect<A, E, R>
  ) =>
    Effect.gen(function* () {
      const deploy = yield* Deploy
      const seen = seenBy(endpoints)
      const hello = yield* Deferred.make<EdgeHello>()
      epoch += 1
      yield* deploy.attach(epoch).pipe(
        Stream.runForEach((observation) => {
          seen.note(observation)
          return observation.type === "hello" ? Deferred.succeed(hello, observation) : Effect.void
        }),
        Effect.forkScoped
      )
      const greeted = yield* Deferred.await(hello)
      yield* deploy.snapshot(stages)
      const settled = (spec: StageSpec) =>
        until(`generation ${spec.generation} of ${spec.name}`, () =>
          deploy.routes
            ? seen.generation(spec.stage) >= spec.generation
            : spec.releases.every(
                ({ release }, index) =>
                  release !== spec.route || seen.release(spec, index)?.state === "healthy"
              )
        )
      const ensure = (spec: StageSpec) =>
        Effect.andThen(
          Deploy.use((deploy) => deploy.ensure(spec)),
          settled(spec)
        )
      const result = yield* use({ ...seen, greeting: () => greeted, settled, ensure })
      if (!deploy.routes) assert.isFalse(seen.routed(), "a route is told by whoever routes")
      return result
    }).pipe(Effect.scoped, (effect) =>
      Effect.provide(effect, Layer.fresh(provider), { local: true })
    )

  withLayer(world, { excludeTestServices: true })(`${name} is a Deploy`, (it) => {
    it.effect("serves what it is told, again, and told by a new control", () =>
      Effect.gen(function* () {
        const spec = stageOf(1, 1, [yield* site("one")], 0)
        yield* control([], ({ ensure }) =>
          Effect.gen(function* () {
            yield* ensure(spec)
            assert.strictEqual(yield* visit(spec), "one")
            yield* ensure(spec)
            assert.strictEqual(yield* visit(spec), "one")
          })
        )
        assert.strictEqual(yield* visit(spec), "one", "served without a control")
        yield* control([spec], ({ settled, release }) =>
          Effect.gen(function* () {
            yield* settled(spec)
            yield* until("what is there is told", () => release(spec, 0)?.state === "healthy")
            assert.strictEqual(yield* visit(spec), "one")
          })
        )
      })
    )

    it.effect("moves the route to another release, and an older generation changes nothing", () =>
      Effect.gen(function* () {
        const workloads = [yield* site("old"), yield* site("new")]
        const older = stageOf(2, 1, workloads, 0)
        const newer = stageOf(2, 2, workloads, 1)
        yield* control([], ({ ensure }) =>
          Effect.gen(function* () {
            yield* ensure(older)
            assert.strictEqual(yield* visit(older), "old")
            yield* ensure(newer)
            assert.strictEqual(yield* visit(newer), "new")
            yield* Deploy.use((deploy) => deploy.ensure(older))
            yield* Deploy.use((deploy) => deploy.remove(older.stage, older.generation))
            // Messages are handled in their order: what was late has been looked at by now.
            yield* ensure(stageOf(3, 1, workloads, 0))
            assert.strictEqual(yield* visit(newer), "new")
          })
        )
      })
    )

    it.effect("says that a release is not healthy and why, and goes on serving the other", () =>
      Effect.gen(function* () {
        const workloads = [yield* site("fine"), yield* doomed]
        const spec = stageOf(4, 1, workloads, 0)
        yield* control([], ({ ensure, release }) =>
          Effect.gen(function* () {
            yield* ensure(spec)
            yield* until("the doomed one has failed", () => release(spec, 1)?.state === "failed")
            assert.isNotEmpty(release(spec, 1)?.failure?.cause)
            assert.strictEqual(yield* visit(spec), "fine")
          })
        )
      })
    )

    it.effect("makes the node equal to a snapshot: what is not listed goes", () =>
      Effect.gen(function* () {
        const [stays, goes] = [
          stageOf(5, 1, [yield* site("stays")], 0),
          stageOf(6, 1, [yield* site("goes")], 0)
        ]
        yield* control([stays, goes], ({ settled }) =>
          Effect.gen(function* () {
            yield* Effect.andThen(settled(stays), settled(goes))
            assert.strictEqual(yield* visit(goes), "goes")
          })
        )
        yield* control([stays], ({ settled }) =>
          Effect.gen(function* () {
            yield* settled(stays)
            yield* gone(goes)
            assert.strictEqual(yield* visit(stays), "stays")
          })
        )
      })
    )

    it.effect("removes a stage, one that is gone, and one that never was", () =>
      Effect.gen(function* () {
        const spec = stageOf(7, 1, [yield* site("here")], 0)
        yield* control([spec], ({ settled }) =>
          Effect.gen(function* () {
            const remove = Deploy.use((deploy) => deploy.remove(spec.stage, 2))
            yield* settled(spec)
            yield* Effect.andThen(remove, gone(spec))
            yield* Effect.andThen(remove, gone(spec))
            yield* Deploy.use((deploy) => deploy.remove(stageOf(8, 1, [], null).stage, 1))
          })
        )
        yield* control([], () => gone(spec))
      })
    )

    it.effect("finds what was printed, and only what is looked for", () =>
      Effect.gen(function* () {
        const spec = stageOf(10, 1, [yield* doomed], null)
        yield* control([], ({ ensure, release }) =>
          Effect.gen(function* () {
            yield* ensure(spec)
            yield* until("the doomed one has failed", () => release(spec, 0)?.state === "failed")
            const query = { stage: spec.stage, after: null, tail: 100, follow: false }
            const lines = (search: LogSearch) =>
              Deploy.use((deploy) => Stream.runCollect(deploy.logs({ ...query, ...search })))
            const [first, ...rest] = yield* lines({})
            assert.isNotEmpty(first?.text)
            const contains = (first?.text ?? "").toUpperCase()
            const same = [first, ...rest].filter((line) => line?.text === first?.text)
            assert.deepStrictEqual(yield* lines({ contains, since: first?.at ?? 0 }), same)
            assert.lengthOf(yield* lines({ contains: `${contains} nobody printed this` }), 0)
            assert.lengthOf(yield* lines({ since: Number.MAX_SAFE_INTEGER }), 0)
          })
        )
      })
    )

    if (working !== undefined) {
      it.effect("runs the workers of the routed release, and those of no other one", () =>
        Effect.gen(function* () {
          const workloads = [yield* working("one"), yield* working("two")]
          const stage = (generation: number, route: number) =>
            stageOf(11, generation, workloads, route)
          const { stage: id } = stage(1, 0)
          const query = { stage: id, after: null, tail: 100, follow: false }
          const printed = Deploy.use((deploy) => Stream.runCollect(deploy.logs(query))).pipe(
            Effect.map((lines) => lines.filter(({ process }) => process === "clock")),
            Effect.map((lines) => lines.filter(({ stream }) => stream === "stdout"))
          )
          const works = (text: string) =>
            printed.pipe(
              Effect.filterOrFail(
                (lines) => lines.some((line) => line.text === `${text} works`),
                (lines) => lines
              ),
              Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 500 })
            )
          yield* control([], ({ ensure, release }) =>
            Effect.gen(function* () {
              yield* ensure(stage(1, 0))
              yield* until("both are healthy", () =>
                [0, 1].every((index) => release(stage(1, 0), index)?.state === "healthy")
              )
              yield* works("one")
              yield* ensure(stage(2, 1))
              assert.strictEqual(yield* visit(stage(2, 1)), "two")
              const said = (yield* works("two")).map(({ text }) => text)
              assert.deepStrictEqual(said, ["one works", "one has ended", "two works"])
            })
          )
        })
      )
    }

    if (portless === undefined) {
      it.effect("refuses what has no port as Unsupported, and says so in its greeting", () =>
        control([], ({ greeting }) =>
          Effect.gen(function* () {
            assert.isUndefined(greeting().runs)
            for (const workload of [worker, { ...worker, schedule: yearly }]) {
              const spec = stageOf(12, 1, [workload], null)
              yield* Laws.isUnsupported(Deploy.use((deploy) => deploy.ensure(spec)))
              yield* Laws.isUnsupported(Deploy.use((deploy) => deploy.snapshot([spec])))
            }
          })
        )
      )
    } else {
      it.effect("runs what has no port, where no hostname leads to it", () =>
        Effect.gen(function* () {
          const one = yield* portless
          const worker = stageOf(12, 1, [one, one], 0)
          yield* control([], ({ ensure, greeting, release }) =>
            Effect.gen(function* () {
              assert.sameMembers([...(greeting().runs ?? [])], ["worker", "schedule"])
              yield* ensure({ ...worker, hostnames: [] })
              yield* until("both are healthy", () =>
                [0, 1].every((index) => release(worker, index)?.state === "healthy")
              )
              const seen = release(worker, 0)
              assert.deepStrictEqual([seen?.port, seen?.endpoint], [null, undefined])
              assert.isNull(yield* visit(worker))
              const moved = { ...stageOf(12, 2, [one, one], 1), hostnames: [] }
              yield* ensure({ ...moved, releases: moved.releases.slice(1) })
              assert.strictEqual(release(worker, 1)?.state, "healthy")
            })
          )
        })
      )

      it.effect("has what is on a schedule in place at once, and says when it is due", () =>
        Effect.gen(function* () {
          const workload = { ...(yield* portless), schedule: yearly }
          const spec = { ...stageOf(13, 1, [workload], 0), hostnames: [] }
          yield* control([], ({ ensure, release }) =>
            Effect.gen(function* () {
              yield* ensure(spec)
              yield* until("it is told", () => release(spec, 0)?.schedule !== undefined)
              const { schedule, state } = release(spec, 0) ?? {}
              const now = yield* Clock.currentTimeMillis
              assert.strictEqual(state, "healthy")
              assert.isNull(schedule?.last)
              assert.isAbove(schedule?.next ?? 0, now)
            })
          )
        })
      )
    }

    it.effect("has no lines of a stage that printed none", () =>
      control([], () =>
        Effect.gen(function* () {
          const { stage } = stageOf(9, 1, [], null)
          const query = { stage, after: null, tail: 10, follow: false }
          const lines = yield* Deploy.use((deploy) => Stream.runCollect(deploy.logs(query)))
          assert.lengthOf(lines, 0)
        })
      )
    )
  })

  const gone = (spec: StageSpec) =>
    visit(spec).pipe(
      Effect.flatMap((found) => (found === null ? Effect.void : Effect.fail(found))),
      Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 500 })
    )
}

interface Control extends Seen {
  /** How the node presented itself. */
  readonly greeting: () => EdgeHello
  /** The node has converged to this. */
  readonly settled: (spec: StageSpec) => Effect.Effect<void>
  readonly ensure: (spec: StageSpec) => Effect.Effect<void, unknown, Deploy>
}

interface Seen {
  /** Any route was told. */
  readonly routed: () => boolean
  readonly generation: (stage: StageId) => number
  readonly release: (spec: StageSpec, index: number) => ReleaseObserved | undefined
}

/** What a control has been told, by stage and by release. */
const seenBy = (
  endpoints: Map<ReleaseId, EndpointWorkload>
): Seen & { readonly note: (observation: Observation) => void } => {
  const generations = new Map<StageId, number>()
  const releases = new Map<ReleaseId, ReleaseObserved>()
  return {
    note: (observation) => {
      if (observation.type === "route") generations.set(observation.stage, observation.generation)
      if (observation.type !== "release") return
      releases.set(observation.release, observation)
      if (observation.endpoint !== undefined)
        endpoints.set(observation.release, observation.endpoint)
    },
    routed: () => generations.size > 0,
    generation: (stage) => generations.get(stage) ?? -1,
    release: (spec, index) => {
      const wanted = spec.releases[index]?.release
      return wanted === undefined ? undefined : releases.get(wanted)
    }
  }
}

const until = (what: string, isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (isSo() ? Effect.void : Effect.fail(`${what}: it never came to this`))).pipe(
    Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 1000 }),
    Effect.orDie
  )
