/**
 * Tells an ingress where hostnames lead whose nodes leave that to it, and keeps what it observes.
 */
import type { Ingress } from "@deploy-mcp/domain/Ingress"
import type { StageId } from "@deploy-mcp/domain/model/Ids"
import type { RouteObserved } from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect, Option, Semaphore, Stream } from "effect"
import { EveryOwner } from "../store/Owned.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import type { Observed } from "./Observed.ts"
import { routeSpec, type WantedStage, wantedStages } from "./WantedStage.ts"

export interface RoutePublisher {
  /** Leads the hostnames as rows had it; true once visitors are led there, or as soon as its files are. */
  readonly lead: (wanted: WantedStage) => Effect.Effect<boolean>
  /** The newest generation that visitors are led by; undefined: unknown. */
  readonly generation: (stage: StageId) => number | undefined
}

/** How long the ingress is given to lead visitors where it was told. */
const patience = "5 seconds"

export interface RouteOptions {
  /** Its instance; `deploys` are those whose hostnames it leads. */
  readonly name: string
  readonly deploys: ReadonlyArray<string>
  readonly ingress: Ingress["Service"]
  readonly observed: Observed
  /** Once it is back and knows all routes. */
  readonly caughtUp: Effect.Effect<void>
}

export const makeRoutePublisher = Effect.fnUntraced(function* (options: RouteOptions) {
  const { deploys, ingress, observed } = options
  const everyone = yield* EveryOwner
  const store = yield* ReleaseStore
  const read = yield* wantedStages
  const seen = new Map<StageId, RouteObserved>()
  const sending = yield* Semaphore.make(1)

  const generation = (stage: StageId) => seen.get(stage)?.generation
  const isLed = ({ row }: WantedStage) => (generation(row.id) ?? -1) >= row.generation

  const tell = (wanted: WantedStage) =>
    wanted.row.trashedAt === null
      ? ingress.ensure(routeSpec(wanted))
      : ingress.remove(wanted.row.id, wanted.row.generation)

  const isFiles = (wanted: WantedStage) => routeSpec(wanted).target?.to.kind === "static"

  const lead = (wanted: WantedStage) =>
    Effect.gen(function* () {
      if (isLed(wanted)) return true
      yield* sending.withPermit(tell(wanted))
      const led = yield* observed
        .until(() => (isLed(wanted) ? true : undefined))
        .pipe(Effect.timeoutOption(patience))
      // Files that cannot be served are never led to. Nothing else of the node may wait for them.
      return Option.isSome(led) || isFiles(wanted)
    }).pipe(
      Effect.catchTag("IngressError", (error) =>
        Effect.as(Effect.logDebug("not led yet", error.reason), false)
      )
    )

  const snapshot = Effect.gen(function* () {
    const stages = (yield* store.stages(everyone)).filter((row) =>
      deploys.includes(row.deployInstance)
    )
    const wanted = yield* Effect.forEach(stages, ({ id }) => read(id))
    yield* ingress.snapshot(wanted.map(routeSpec))
  }).pipe(
    sending.withPermit,
    Effect.andThen(options.caughtUp),
    Effect.catchTag("IngressError", (error) => Effect.logDebug("no routes yet", error.reason))
  )

  const epoch = yield* store.openEpoch(`ingress.${options.name}`)
  yield* ingress.attach(epoch).pipe(
    Stream.runForEach((observation) =>
      Effect.gen(function* () {
        if (observation.type === "route") seen.set(observation.stage, observation)
        else seen.clear()
        if (observation.type === "hello") yield* Effect.forkChild(snapshot)
        yield* observed.changed
      })
    ),
    Effect.forkScoped
  )

  return { lead, generation } satisfies RoutePublisher
})
