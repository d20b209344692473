/**
 * The processes of a stage that have no port. They are of one release at a time: the old ones are
 * stopped first, then the new ones are started, so that no job is taken by two versions.
 */
import type { ReleaseId, StageId } from "@deploy-mcp/domain/model/Ids"
import type { StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect, Queue, type Scope } from "effect"
import type { Contained } from "./Container.ts"
import type { DockerError } from "./DockerSocket.ts"
import type { Engine } from "./Engine.ts"
import { make } from "./Make.ts"
import { pause, retire, tidy } from "./Retire.ts"
import { countWorkerEnds } from "./WorkerEnds.ts"

export interface Shift {
  /** From now on the workers of this release run and no others; null: none do. */
  readonly give: (spec: StageSpec, release: ReleaseId | null) => Effect.Effect<void>
}

/** After a worker could not be started. */
const patience = "10 seconds"

export const makeShift = (
  engine: Engine,
  stage: StageId,
  containers: Effect.Effect<ReadonlyArray<Contained>, DockerError>
): Effect.Effect<Shift, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { api, paused, settings } = engine
    const wake = yield* Queue.sliding<void>(1)
    let wanted: { readonly spec: StageSpec; readonly release: ReleaseId | null } | null = null

    const change = Effect.gen(function* () {
      if (wanted === null) return
      const { release, spec } = wanted
      const workload = spec.releases.find((one) => one.release === release)?.workload
      const workers = workload?.kind === "image" ? (workload.workers ?? {}) : {}
      const there = (yield* containers).filter(({ ended, worker }) => worker !== null && !ended)
      const isOurs = (one: Contained) =>
        one.release === release && one.worker !== null && one.worker in workers
      yield* retire(
        engine,
        there.filter((one) => !isOurs(one))
      )
      yield* tidy(engine, yield* containers, spec.releases.length === 0 ? 0 : settings.keep)
      if (wanted.release !== release || release === null || workload?.kind !== "image") return
      for (const [name, start] of Object.entries(workers)) {
        const held = there.find((one) => isOurs(one) && one.worker === name)
        const why = yield* paused.find(release, name)
        if (why !== null && held?.runs === true) yield* pause(engine, held, why)
        if (why !== null) continue
        const worker = { name, start }
        const made =
          held?.id ?? (yield* make(engine, { ...spec, release, workload, worker, port: null }))
        // Starting what runs already is answered with a good word.
        if (typeof made === "string") yield* api.start(made)
        else yield* Effect.logWarning(`worker ${name} of ${spec.name}: ${made.cause}`)
        if (typeof made !== "string") yield* wakeLater
      }
    }).pipe(
      Effect.catch(({ detail }) =>
        Effect.andThen(Effect.logDebug("a worker could not be started:", detail), wakeLater)
      )
    )
    const wakeLater = Queue.offer(wake, undefined).pipe(Effect.delay(patience), Effect.forkScoped)
    yield* Queue.take(wake).pipe(Effect.andThen(change), Effect.forever, Effect.forkScoped)
    yield* Effect.forkScoped(countWorkerEnds(engine, stage, containers))

    return {
      give: (spec, release) => {
        wanted = { spec, release }
        return Effect.asVoid(Queue.offer(wake, undefined))
      }
    }
  })
