/**
 * Tells a node what rows want and keeps what the node observes. Derives, never decides: a stage's
 * spec is read from rows in one transaction, and the generation in it is the fence.
 */
import type { ReleaseId, StageId } from "@deploy-mcp/domain/model/Ids"
import type {
  EdgeHello,
  ReleaseObserved,
  RouteObserved,
  StageSpec
} from "@deploy-mcp/domain/node/NodeProtocol"
import { sealTo } from "@deploy-mcp/domain/node/SealedBox"
import { Vault } from "@deploy-mcp/domain/Vault"
import { Context, Effect, Layer, PubSub, Redacted, Semaphore, Stream } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { Deploys } from "./Instances.ts"
import { Platform } from "./Platform.ts"
import { type ReleaseRow, ReleaseStore } from "./store/ReleaseStore.ts"
import { ServiceStore, variableContext } from "./store/ServiceStore.ts"
import { workloadOf } from "./Workload.ts"

export class Publisher extends Context.Service<
  Publisher,
  {
    /**
     * Sends a stage as rows have it now; true when the node has accepted it. A node that is away gets
     * it when it is back.
     */
    readonly publish: (stage: StageId) => Effect.Effect<boolean>
    /** The release's first observation that satisfies `wanted`. */
    readonly awaitRelease: (
      release: ReleaseId,
      wanted: (observed: ReleaseObserved) => boolean
    ) => Effect.Effect<ReleaseObserved>
    /** Until the node has converged to the stage's present generation. */
    readonly awaitConverged: (stage: StageId) => Effect.Effect<void>
    readonly release: (release: ReleaseId) => Effect.Effect<ReleaseObserved | undefined>
    /** Null while the node is away. */
    readonly node: Effect.Effect<EdgeHello | null>
    readonly awaitNode: Effect.Effect<EdgeHello>
  }
>()("@deploy-mcp/runtime/Publisher") {}

const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const deploys = yield* Deploys
  const deploy = deploys.get(deploys.default)
  const vault = yield* Vault
  const releases = yield* ReleaseStore
  const services = yield* ServiceStore
  const platform = yield* Platform

  let node: EdgeHello | null = null
  const seenReleases = new Map<string, ReleaseObserved>()
  const seenRoutes = new Map<string, RouteObserved>()
  const sealed = new Map<string, string>()
  const changes = yield* PubSub.unbounded<void>()
  const sending = yield* Semaphore.make(1)

  /** Waits until `read` gives a value; it is asked again after each observation. */
  const until = <A>(read: () => A | undefined): Effect.Effect<A> =>
    Effect.gen(function* () {
      const subscription = yield* PubSub.subscribe(changes)
      for (;;) {
        const value = read()
        if (value !== undefined) return value
        yield* PubSub.take(subscription)
      }
    }).pipe(Effect.scoped)

  const sealVariables = Effect.fnUntraced(function* (row: ReleaseRow, nodeKey: string) {
    if (row.variables.length === 0) return null
    const known = sealed.get(row.id)
    if (known !== undefined) return known
    const opened: Record<string, string> = {}
    for (const variable of yield* services.variablesById(row.variables)) {
      const value = yield* vault.open(variable.sealed, variableContext(row.stageId, variable.name))
      opened[variable.name] = Redacted.value(value)
    }
    const box = yield* Effect.promise(() => sealTo(nodeKey, JSON.stringify(opened)))
    sealed.set(row.id, box)
    return box
  }, Effect.orDie)

  const releaseSpec = Effect.fnUntraced(function* (row: ReleaseRow, nodeKey: string) {
    const variables =
      row.artifact.runtime.kind === "static" ? null : yield* sealVariables(row, nodeKey)
    return { release: row.id, workload: workloadOf(row, variables, platform.startTimeout) }
  })

  /** What rows want of a stage; null: nothing any more. */
  const specOf = (stage: StageId, nodeKey: string) =>
    Effect.gen(function* () {
      const row = yield* releases.stage(stage)
      if (row.trashedAt !== null) return { generation: row.generation, spec: null }
      const wanted = yield* releases.wanted(stage)
      const spec: StageSpec = {
        stage,
        generation: row.generation,
        name: row.name,
        tenant: row.tenant,
        hostnames: yield* releases.labels(stage),
        route: row.liveReleaseId,
        releases: yield* Effect.forEach(wanted, (release) => releaseSpec(release, nodeKey))
      }
      return { generation: row.generation, spec }
    }).pipe(sql.withTransaction, Effect.orDie)

  const publish = (stage: StageId) =>
    Effect.gen(function* () {
      if (node === null) return false
      const { generation, spec } = yield* specOf(stage, node.nodeKey)
      yield* spec === null ? deploy.remove(stage, generation) : deploy.ensure(spec)
      return true
    }).pipe(
      sending.withPermit,
      Effect.catchTag("DeployError", (error) =>
        Effect.as(Effect.logDebug("not published yet", error.reason), false)
      )
    )

  const snapshot = (hello: EdgeHello) =>
    Effect.gen(function* () {
      const stages = yield* releases.stages
      const specs = yield* Effect.forEach(stages, (stage) => specOf(stage.id, hello.nodeKey))
      yield* deploy.snapshot(specs.flatMap(({ spec }) => (spec === null ? [] : [spec])))
    }).pipe(
      sending.withPermit,
      Effect.catchTag("DeployError", (error) => Effect.logDebug("no snapshot yet", error.reason))
    )

  /** A new connection: forget what was seen, the node tells it afresh. */
  const greet = (hello: EdgeHello) => {
    if (node?.nodeKey !== hello.nodeKey) sealed.clear()
    node = hello
    seenReleases.clear()
    seenRoutes.clear()
    return Effect.forkChild(snapshot(hello))
  }

  const epoch = yield* releases.openEpoch(deploys.default)
  yield* deploy.attach(epoch).pipe(
    Stream.runForEach((observed) =>
      Effect.gen(function* () {
        if (observed.type === "hello") yield* greet(observed)
        else if (observed.type === "away") node = null
        else if (observed.type === "route") seenRoutes.set(observed.stage, observed)
        else seenReleases.set(observed.release, observed)
        if (observed.type === "release" && observed.state === "stopped")
          sealed.delete(observed.release)
        yield* PubSub.publish(changes, undefined)
      })
    ),
    Effect.forkScoped
  )

  return Publisher.of({
    publish,
    awaitRelease: (release, wanted) =>
      until(() => {
        const observed = seenReleases.get(release)
        return observed !== undefined && wanted(observed) ? observed : undefined
      }),
    awaitConverged: Effect.fnUntraced(function* (stage: StageId) {
      const { generation } = yield* releases.stage(stage)
      yield* until(() => {
        const route = seenRoutes.get(stage)
        return route !== undefined && route.generation >= generation ? true : undefined
      })
    }),
    release: (release) => Effect.sync(() => seenReleases.get(release)),
    node: Effect.sync(() => node),
    awaitNode: until(() => node ?? undefined)
  })
})

export const layer = Layer.effect(Publisher, make)
