/**
 * One stage, converged: what is listed lives, what is not listed any more leaves when the routed
 * release can answer, and the workers are those of the release that is routed to.
 */
import type { ReleaseId, StageId } from "@deploy-mcp/domain/model/Ids"
import type {
  ImageWorkload,
  ReleaseObserved,
  ReleaseSpec,
  StageSpec
} from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect, FiberMap, Queue, Schedule, type Scope } from "effect"
import { type Contained, containedIn, platformLabel, stageLabel } from "./Container.ts"
import type { DockerError } from "./DockerSocket.ts"
import type { Engine } from "./Engine.ts"
import { live, type Place } from "./Life.ts"
import { make, notStarted } from "./Make.ts"
import { retire } from "./Retire.ts"
import { makeShift } from "./Shift.ts"

export interface Stage {
  /** What runs already and is watched until somebody says what is wanted. */
  readonly adopt: (releases: ReadonlyArray<ReleaseId>) => Effect.Effect<void>
  readonly put: (spec: StageSpec) => Effect.Effect<void>
  /** Looks again whether all is as it should be. */
  readonly nudge: Effect.Effect<void>
}

export const makeStage = (engine: Engine, id: StageId): Effect.Effect<Stage, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { api, settings } = engine
    const lives = yield* FiberMap.make<ReleaseId>()
    const leaving = yield* FiberMap.make<ReleaseId>()
    const wake = yield* Queue.sliding<void>(1)
    const nudge = Effect.asVoid(Queue.offer(wake, undefined))
    const known = new Map<ReleaseId, ReleaseObserved | null>()
    const everHealthy = new Set<ReleaseId>()
    const retries = new Map<ReleaseId, number>()
    let spec: StageSpec | null = null

    const containers: Effect.Effect<ReadonlyArray<Contained>, DockerError> = Effect.map(
      api.containers([platformLabel(engine.platform), stageLabel(id)]),
      (found) => found.flatMap((one) => containedIn(one) ?? [])
    )
    const shift = yield* makeShift(engine, id, containers)

    const tell = (release: ReleaseId, change: Parameters<Place["tell"]>[0]) => {
      const observed: ReleaseObserved = { type: "release", stage: id, release, ...change }
      if (JSON.stringify(known.get(release)) === JSON.stringify(observed)) return
      known.set(release, observed)
      if (observed.state === "healthy") {
        everHealthy.add(release)
        retries.delete(release)
      }
      engine.tell(observed)
      Queue.offerUnsafe(wake, undefined)
    }

    const listed = (release: ReleaseId) =>
      spec?.releases.find((candidate) => candidate.release === release)?.workload

    const placeOf = (release: ReleaseId): Place => {
      const workload = (): ImageWorkload | null => {
        const wanted = listed(release)
        return wanted?.kind === "image" ? wanted : null
      }
      return {
        find: Effect.map(
          containers,
          (all) =>
            all.find((one) => one.release === release && one.worker === null && !one.ended) ?? null
        ),
        make: (port) => {
          const wanted = workload()
          return spec === null || wanted === null
            ? Effect.succeed(null)
            : make(engine, { ...spec, release, workload: wanted, worker: null, port })
        },
        workload,
        paused: engine.paused.find(release, null),
        tell: (change) => tell(release, change)
      }
    }

    const begin = (release: ReleaseId, first: Effect.Effect<void, DockerError> = Effect.void) =>
      FiberMap.run(
        lives,
        release,
        first.pipe(Effect.andThen(live(engine, placeOf(release))), untilItWorks)
      )

    const stay = ({ release, workload }: ReleaseSpec) =>
      Effect.gen(function* () {
        if (workload.kind === "static") return
        yield* FiberMap.remove(leaving, release)
        if (yield* FiberMap.has(lives, release)) return
        const told = known.get(release) ?? null
        known.set(release, told)
        if (workload.kind === "process") {
          const failure = notStarted("This node runs images, not directories.")
          return tell(release, { state: "failed", port: null, restarts: 0, failure })
        }
        if (workload.kind === "endpoint") {
          const { port } = workload
          return tell(release, {
            state: "healthy",
            port,
            restarts: 0,
            failure: null,
            endpoint: workload
          })
        }
        if (told?.state !== "failed") return yield* begin(release)
        if (told.failure?.code === "paused") return
        // A routed release worked once: elsewhere, or before its engine was set up anew.
        if (spec?.route === release) yield* begin(release, again(release))
      })

    const again = (release: ReleaseId) =>
      Effect.suspend(() => {
        const count = retries.get(release) ?? 0
        retries.set(release, count + 1)
        return Effect.sleep(Math.min(1000 * 2 ** count, 60_000))
      }).pipe(Effect.andThen(clear(release)))

    const clear = (release: ReleaseId) =>
      Effect.gen(function* () {
        const all = yield* containers
        const held = all.filter((one) => one.release === release && !one.ended)
        yield* retire(engine, held)
      })

    const leave = (release: ReleaseId) =>
      Effect.gen(function* () {
        // Those who are being answered, and those whom the ingress still sends here.
        if (known.get(release)?.state === "healthy") yield* Effect.sleep(settings.drain)
        yield* clear(release)
        yield* engine.paused.forget(release)
        tell(release, { state: "stopped", port: null, restarts: 0, failure: null })
        known.delete(release)
        everHealthy.delete(release)
        yield* nudge
      }).pipe(untilItWorks)

    const settle = Effect.gen(function* () {
      if (spec === null) return
      const { route, releases } = spec
      for (const release of releases) yield* stay(release)
      const isReady = route === null || !known.has(route) || known.get(route)?.state === "healthy"
      for (const release of known.keys()) {
        if (listed(release) !== undefined || (yield* FiberMap.has(leaving, release))) continue
        // One that was found here and has not answered yet may be the one that visitors are at.
        if (!isReady && known.get(release)?.state !== "failed") continue
        yield* FiberMap.remove(lives, release)
        yield* FiberMap.run(leaving, release, leave(release))
      }
      if (route !== null && !everHealthy.has(route) && known.has(route)) return
      const working = releases.find(({ release }) => release === route)
      yield* shift.give(spec, working?.workload.kind === "image" ? working.release : null)
    })
    yield* Queue.take(wake).pipe(Effect.andThen(settle), Effect.forever, Effect.forkScoped)

    return {
      adopt: (releases) =>
        Effect.forEach(
          releases,
          (release) => {
            known.set(release, null)
            return begin(release)
          },
          { discard: true }
        ),
      put: (next) => {
        spec = next
        return nudge
      },
      nudge
    }
  })

/** A lost answer or a busy engine: all that is done here converges when it is done again. */
const untilItWorks = (work: Effect.Effect<void, DockerError>): Effect.Effect<void> =>
  work.pipe(
    Effect.tapError(({ detail }) => Effect.logDebug("Docker:", detail)),
    Effect.retry(Schedule.spaced("1 second")),
    Effect.orDie
  )
