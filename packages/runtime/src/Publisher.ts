/**
 * Tells nodes what rows want and keeps what they observe: one node for each deploy instance, and the
 * default ingress for those that leave hostnames to one. The generation in a stage's row is the fence.
 */
import type { ReleaseId, StageId } from "@deploy-mcp/domain/model/Ids"
import type { EdgeHello, ReleaseObserved } from "@deploy-mcp/domain/node/NodeProtocol"
import { Context, Effect, Layer } from "effect"
import { Deploys, Ingresses } from "./Instances.ts"
import {
  makeNodePublisher,
  type NodeDifference,
  type NodePublisher
} from "./publisher/NodePublisher.ts"
import { makeObserved } from "./publisher/Observed.ts"
import { makeRoutePublisher } from "./publisher/RoutePublisher.ts"
import { EveryOwner } from "./store/Owned.ts"
import { ReleaseStore } from "./store/ReleaseStore.ts"

export class Publisher extends Context.Service<
  Publisher,
  {
    /**
     * Sends a stage as rows have it now; true when its node has accepted it. A node that is away gets
     * it when it is back.
     */
    readonly publish: (stage: StageId) => Effect.Effect<boolean>
    /** The release's first observation that satisfies `wanted`. */
    readonly awaitRelease: (
      release: ReleaseId,
      wanted: (observed: ReleaseObserved) => boolean
    ) => Effect.Effect<ReleaseObserved>
    /** Until visitors are led as the stage's present generation says. */
    readonly awaitConverged: (stage: StageId) => Effect.Effect<void>
    readonly release: (release: ReleaseId) => Effect.Effect<ReleaseObserved | undefined>
    /** The node of a deploy instance; null while it is away. */
    readonly node: (instance: string) => Effect.Effect<EdgeHello | null>
    /** What nodes do that rows do not want, or the other way round; of those that are there. */
    readonly differences: Effect.Effect<ReadonlyArray<NodeDifference>>
    /** Tells every node that is there everything again. */
    readonly catchUp: Effect.Effect<void>
    readonly awaitNode: (instance: string) => Effect.Effect<EdgeHello>
  }
>()("@deploy-mcp/runtime/Publisher") {}

const make = Effect.gen(function* () {
  const deploys = yield* Deploys
  const ingresses = yield* Ingresses
  const everyone = yield* EveryOwner
  const releases = yield* ReleaseStore
  const observed = yield* makeObserved
  const nodes = new Map<string, NodePublisher>()

  const elsewhere = deploys.names.filter((name) => !deploys.get(name).routes)
  const routes =
    elsewhere.length === 0
      ? null
      : yield* makeRoutePublisher({
          name: ingresses.default,
          deploys: elsewhere,
          ingress: ingresses.get(ingresses.default),
          observed,
          caughtUp: Effect.suspend(() =>
            Effect.forEach(elsewhere, (name) => nodes.get(name)?.catchUp ?? Effect.void, {
              discard: true
            })
          )
        })
  for (const name of deploys.names) {
    const deploy = deploys.get(name)
    const leads = deploy.routes ? null : routes
    nodes.set(name, yield* makeNodePublisher({ name, deploy, routes: leads, observed }))
  }

  const nodeOf = (instance: string) => Effect.fromNullishOr(nodes.get(instance)).pipe(Effect.orDie)
  const stageOf = Effect.fnUntraced(function* (stage: StageId) {
    const row = yield* releases.stage(everyone, stage)
    return { row, node: yield* nodeOf(row.deployInstance) }
  })
  const seen = (release: ReleaseId) => {
    for (const node of nodes.values()) {
      const found = node.release(release)
      if (found !== undefined) return found
    }
    return undefined
  }

  return Publisher.of({
    publish: (stage) => Effect.flatMap(stageOf(stage), ({ node }) => node.publish(stage)),
    awaitRelease: (release, wanted) =>
      observed.until(() => {
        const found = seen(release)
        return found !== undefined && wanted(found) ? found : undefined
      }),
    awaitConverged: Effect.fnUntraced(function* (stage: StageId) {
      const { row, node } = yield* stageOf(stage)
      yield* observed.until(() =>
        (node.generation(stage) ?? -1) >= row.generation ? true : undefined
      )
    }),
    release: (release) => Effect.sync(() => seen(release)),
    node: (instance) => Effect.map(nodeOf(instance), (node) => node.hello()),
    differences: Effect.suspend(() =>
      Effect.forEach([...nodes.values()], (node) => node.differences)
    ).pipe(Effect.map((all) => all.flat())),
    catchUp: Effect.suspend(() =>
      Effect.forEach([...nodes.values()], (node) => node.catchUp, { discard: true })
    ),
    awaitNode: (instance) =>
      Effect.flatMap(nodeOf(instance), (node) => observed.until(() => node.hello() ?? undefined))
  })
})

export const layer = Layer.effect(Publisher, make)
