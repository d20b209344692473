/**
 * Tells one node what rows want of the stages that it owns, and keeps what it observes. Where the node
 * leaves hostnames to an ingress, the route moves first: what it led to is still there meanwhile.
 */
import type { Deploy } from "@deploy-mcp/domain/Deploy"
import type { ReleaseId, StageId } from "@deploy-mcp/domain/model/Ids"
import {
  type EdgeHello,
  neededOf,
  type ReleaseObserved,
  type ReleaseSpec,
  type RouteObserved
} from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect, Schedule, Semaphore, Stream } from "effect"
import { Platform } from "../Platform.ts"
import { EveryOwner } from "../store/Owned.ts"
import { type ReleaseRow, ReleaseStore } from "../store/ReleaseStore.ts"
import { workloadOf } from "../Workload.ts"
import type { Observed } from "./Observed.ts"
import type { RoutePublisher } from "./RoutePublisher.ts"
import { sealedVariables } from "./SealedVariables.ts"
import { stageSpec, type WantedStage, wantedStages } from "./WantedStage.ts"

export interface NodePublisher {
  /** True once the node has accepted the stage as rows have it now. */
  readonly publish: (stage: StageId) => Effect.Effect<boolean>
  /** What it does that rows do not want, or the other way round; none while it is away. */
  readonly differences: Effect.Effect<ReadonlyArray<NodeDifference>>
  /** Tells the node everything, if it is there. */
  readonly catchUp: Effect.Effect<void>
  /** Null while it is away. */
  readonly hello: () => EdgeHello | null
  readonly release: (release: ReleaseId) => ReleaseObserved | undefined
  /** The newest generation that visitors are led by; undefined: unknown. */
  readonly generation: (stage: StageId) => number | undefined
}

export interface NodeDifference {
  readonly stage: StageId
  readonly sentence: string
}

export interface NodeOptions {
  /** Its deploy instance. */
  readonly name: string
  readonly deploy: Deploy["Service"]
  /** Leads hostnames to it; null: it does that itself. */
  readonly routes: RoutePublisher | null
  readonly observed: Observed
}

const isProgram = ({ artifact }: ReleaseRow) => artifact.runtime.kind !== "static"

/** Between two tries to tell a node what it, or its ingress, could not take. */
const betweenTries = "500 millis"

export const makeNodePublisher = Effect.fnUntraced(function* (options: NodeOptions) {
  const { name, deploy, routes, observed } = options
  const platform = yield* Platform
  const everyone = yield* EveryOwner
  const store = yield* ReleaseStore
  const read = yield* wantedStages
  const variables = yield* sealedVariables
  const scope = yield* Effect.scope

  let node: EdgeHello | null = null
  const seenReleases = new Map<string, ReleaseObserved>()
  const seenRoutes = new Map<string, RouteObserved>()
  const sending = yield* Semaphore.make(1)
  const later = new Set<StageId>()

  /** A node that leads no hostnames has nothing to do with files. */
  const isIts = ({ artifact }: ReleaseRow) => routes === null || artifact.runtime.kind !== "static"

  const specOf = Effect.fnUntraced(function* (wanted: WantedStage, { nodeKey, runs }: EdgeHello) {
    const listed = yield* Effect.forEach(wanted.releases.filter(isIts), (row) =>
      Effect.map(variables.sealed(row, nodeKey), (sealed) => ({
        release: row.id,
        workload: workloadOf(row, sealed, platform.startTimeout)
      }))
    )
    const isUnknown = ({ workload }: ReleaseSpec) => {
      const needed = neededOf(workload)
      return needed !== null && runs?.includes(needed) !== true
    }
    const unknown = listed.filter(isUnknown)
    // It would take them for something else; whoever waits for them hears why.
    for (const { release } of unknown) {
      seenReleases.set(release, notRunHere(wanted.row.id, release, name))
    }
    if (unknown.length > 0) yield* observed.changed
    const releases = listed.filter((one) => !unknown.includes(one))
    const none = wanted.row.trashedAt !== null || (routes !== null && releases.length === 0)
    return none ? null : stageSpec(wanted, releases)
  })

  const led = (wanted: WantedStage) =>
    routes === null ? Effect.succeed(true) : routes.lead(wanted)

  const publish = (stage: StageId): Effect.Effect<boolean> =>
    Effect.gen(function* () {
      const wanted = yield* read(stage)
      if (!(yield* led(wanted)) || node === null) return false
      const spec = yield* specOf(wanted, node)
      yield* spec === null ? deploy.remove(stage, wanted.row.generation) : deploy.ensure(spec)
      return true
    }).pipe(
      sending.withPermit,
      Effect.catchTag("DeployError", (error) =>
        Effect.logDebug("not published yet", error.reason).pipe(
          Effect.andThen(error.isRetryable ? publishLater(stage) : Effect.void),
          Effect.as(false)
        )
      )
    )

  /** A node that is there and failed once is told again; one that comes back asks by itself. */
  const publishLater = Effect.fnUntraced(function* (stage: StageId) {
    if (later.has(stage)) return
    later.add(stage)
    yield* Effect.sleep(betweenTries).pipe(
      Effect.andThen(Effect.sync(() => later.delete(stage))),
      Effect.andThen(Effect.suspend(() => (node === null ? Effect.void : publish(stage)))),
      Effect.forkIn(scope)
    )
  })

  /** True: the node knows everything, or is another one by now. */
  const snapshot = (hello: EdgeHello) =>
    Effect.gen(function* () {
      if (node !== hello) return true
      const stages = (yield* store.stages(everyone)).filter((row) => row.deployInstance === name)
      const wanted = yield* Effect.forEach(stages, ({ id }) => read(id))
      const isLed = yield* Effect.forEach(wanted, led, { concurrency: "unbounded" })
      if (isLed.includes(false)) return false
      const specs = yield* Effect.forEach(wanted, (one) => specOf(one, hello))
      yield* deploy.snapshot(specs.filter((spec) => spec !== null))
      return true
    }).pipe(
      sending.withPermit,
      Effect.catchTag("DeployError", (error) =>
        Effect.as(Effect.logDebug("no snapshot yet", error.reason), !error.isRetryable)
      )
    )

  const catchUp = Effect.suspend(() =>
    node === null
      ? Effect.void
      : snapshot(node).pipe(
          Effect.repeat({ schedule: Schedule.spaced(betweenTries), until: (done) => done }),
          Effect.forkIn(scope),
          Effect.asVoid
        )
  )

  /** A new connection: forget what was seen, the node tells it afresh. */
  const greet = (hello: EdgeHello) => {
    if (node?.nodeKey !== hello.nodeKey) variables.forgetAll()
    node = hello
    seenReleases.clear()
    seenRoutes.clear()
    return catchUp
  }

  const noteRelease = Effect.fnUntraced(function* (seen: ReleaseObserved) {
    // The row is first: whoever sees a healthy release can lead visitors to it.
    if (routes !== null && seen.state === "healthy" && seen.endpoint !== undefined) {
      const moved = yield* store.reach(everyone, seen.release, seen.endpoint)
      if (moved) yield* Effect.forkIn(publish(seen.stage), scope)
    }
    if (isPaused(seen) && !isPaused(seenReleases.get(seen.release))) {
      yield* Effect.logWarning(`stage ${seen.stage} is paused: ${seen.failure?.cause}`)
    }
    seenReleases.set(seen.release, seen)
    if (seen.state === "stopped") variables.forget(seen.release)
  })

  const epoch = yield* store.openEpoch(name)
  yield* deploy.attach(epoch).pipe(
    Stream.runForEach((seen) =>
      Effect.gen(function* () {
        if (seen.type === "hello") yield* greet(seen)
        else if (seen.type === "away") node = null
        else if (seen.type === "route") seenRoutes.set(seen.stage, seen)
        else yield* noteRelease(seen)
        yield* observed.changed
      })
    ),
    Effect.forkScoped
  )

  const differences = Effect.suspend(() => {
    if (node === null) return Effect.succeed([])
    return Effect.gen(function* () {
      const stages = (yield* store.stages(everyone)).filter((row) => row.deployInstance === name)
      const wanted = yield* Effect.forEach(stages, ({ id }) => read(id))
      return [
        ...wanted.flatMap((one) =>
          lacking(one).map((sentence) => ({ stage: one.row.id, sentence }))
        ),
        ...strangers(new Set(stages.map(({ id }) => id)))
      ]
    }).pipe(sending.withPermit)
  })

  const generation = (stage: StageId) =>
    routes === null ? seenRoutes.get(stage)?.generation : routes.generation(stage)

  /** A stage without releases is nothing that a node would tell of. */
  const lacking = ({ row, releases }: WantedStage): ReadonlyArray<string> => {
    if (releases.length === 0) return []
    const live = row.liveReleaseId === null ? undefined : seenReleases.get(row.liveReleaseId)
    // A node that has just come back says where it leads visitors once there is somebody who answers.
    const mayLead = live?.state !== "starting" && live?.state !== "failed"
    const behind = mayLead && (generation(row.id) ?? -1) < row.generation
    const missing = releases.filter((release) => {
      const state = seenReleases.get(release.id)?.state
      return isProgram(release) && (state === undefined || state === "stopped")
    })
    return [
      ...(behind
        ? [
            `Node ${name} leads visitors of ${row.name} as generation ${generation(row.id) ?? "none"} said; rows are at ${row.generation}.`
          ]
        : []),
      ...missing.map(({ number }) => `Node ${name} does not run release ${number} of ${row.name}.`)
    ]
  }

  const strangers = (known: ReadonlySet<StageId>): ReadonlyArray<NodeDifference> => {
    const led = [...seenRoutes.values()].filter(({ release }) => release !== null)
    const run = [...seenReleases.values()].filter(({ state }) => state !== "stopped")
    const stages = new Set(
      [...led, ...run].map(({ stage }) => stage).filter((id) => !known.has(id))
    )
    return [...stages].map((stage) => ({
      stage,
      sentence: `Node ${name} runs or serves stage ${stage}, which no row wants.`
    }))
  }

  return {
    publish,
    differences,
    catchUp,
    hello: () => node,
    release: (release) => seenReleases.get(release),
    generation
  } satisfies NodePublisher
})

const isPaused = (seen: ReleaseObserved | undefined) => seen?.failure?.code === "paused"

const notRunHere = (stage: StageId, release: ReleaseId, node: string): ReleaseObserved => ({
  type: "release",
  stage,
  release,
  state: "failed",
  restarts: 0,
  port: null,
  failure: {
    code: "kind_unsupported",
    cause: `The node of '${node}' runs no services without a port: it is older than this version, or its provider can't.`,
    evidence: [],
    port: null
  }
})
