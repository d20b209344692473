/** Routes in memory, for tests: they are there as soon as they are told. Nothing listens. */
import {
  Ingress,
  type IngressObservation,
  type RouteSpec,
  type RouteTarget
} from "@deploy-mcp/domain/Ingress"
import type { StageId } from "@deploy-mcp/domain/model/Ids"
import { Context, Effect, Layer, Queue, Stream } from "effect"

/** What tests look at; it outlives the provider as a real ingress does. */
export class IngressWorld extends Context.Service<
  IngressWorld,
  {
    readonly routes: Map<StageId, RouteSpec>
    /** Each target a stage has had, oldest first; null where there was none. */
    readonly targets: Map<StageId, Array<RouteTarget | null>>
  }
>()("@deploy-mcp/providers/IngressWorld") {
  static readonly layer = Layer.sync(IngressWorld, () => ({
    routes: new Map(),
    targets: new Map()
  }))
}

export const provider: Layer.Layer<Ingress, never, IngressWorld> = Layer.effect(
  Ingress,
  Effect.map(IngressWorld, ({ routes, targets }) => {
    const outs = new Set<Queue.Enqueue<IngressObservation>>()
    const tell = (observation: IngressObservation) => {
      for (const out of outs) Queue.offerUnsafe(out, observation)
    }
    const note = (stage: StageId, target: RouteTarget | null) => {
      const had = targets.get(stage) ?? []
      if (had.length === 0 || had.at(-1) !== target) targets.set(stage, [...had, target])
    }

    const put = (route: RouteSpec) => {
      const known = routes.get(route.stage)
      if (known !== undefined && known.generation >= route.generation) return
      routes.set(route.stage, route)
      note(route.stage, route.target)
      tell(routeIs(route))
    }

    const remove = (stage: StageId, generation: number) => {
      const known = routes.get(stage)
      if (known !== undefined && known.generation > generation) return
      if (routes.delete(stage)) note(stage, null)
      tell({ type: "route", stage, generation, release: null })
    }

    return Ingress.of({
      attach: () =>
        Stream.callback<IngressObservation>((out) => {
          outs.add(out)
          Queue.offerUnsafe(out, { type: "hello", problem: null })
          for (const route of routes.values()) Queue.offerUnsafe(out, routeIs(route))
          return Effect.addFinalizer(() => Effect.sync(() => outs.delete(out)))
        }),
      snapshot: (listed) =>
        Effect.sync(() => {
          const kept = new Set(listed.map(({ stage }) => stage))
          for (const { stage, generation } of [...routes.values()]) {
            if (!kept.has(stage)) remove(stage, generation)
          }
          listed.forEach(put)
        }),
      ensure: (route) => Effect.sync(() => put(route)),
      remove: (stage, generation) => Effect.sync(() => remove(stage, generation))
    })
  })
)

export const layer: Layer.Layer<Ingress | IngressWorld> = provider.pipe(
  Layer.provideMerge(IngressWorld.layer)
)

/** Where a visitor of `<label>.<apps domain>` is led; null: nowhere. */
export const targetOf = (
  { routes }: Context.Service.Shape<typeof IngressWorld>,
  label: string
): RouteTarget | null =>
  [...routes.values()].find(({ hostnames }) => hostnames.includes(label))?.target ?? null

const routeIs = ({ stage, generation, target }: RouteSpec): IngressObservation => ({
  type: "route",
  stage,
  generation,
  release: target?.release ?? null
})
