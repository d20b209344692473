/**
 * Several providers of one service are active at the same time. Each has a name, rows keep the name
 * of the one that they use, and a changed default re-routes nothing that is there.
 */
import { Build } from "@deploy-mcp/domain/Build"
import { Deploy } from "@deploy-mcp/domain/Deploy"
import type { Dns } from "@deploy-mcp/domain/Dns"
import { Git } from "@deploy-mcp/domain/Git"
import { Ingress } from "@deploy-mcp/domain/Ingress"
import { Context, Effect, Layer } from "effect"

export interface Instances<Shape> {
  /** The one that a new row gets when nobody asks for another. */
  readonly default: string
  readonly names: ReadonlyArray<string>
  /** Start checks the rows, so a name that is not there is a defect. */
  readonly get: (name: string) => Shape
  /** What the platform itself reads in the instance's table, e.g. which build a deploy has. */
  readonly own: (name: string) => Readonly<Record<string, string>>
}

export class Gits extends Context.Service<Gits, Instances<Git["Service"]>>()(
  "@deploy-mcp/runtime/Gits"
) {}

export class Builds extends Context.Service<Builds, Instances<Build["Service"]>>()(
  "@deploy-mcp/runtime/Builds"
) {}

export class Deploys extends Context.Service<Deploys, Instances<Deploy["Service"]>>()(
  "@deploy-mcp/runtime/Deploys"
) {}

export class Ingresses extends Context.Service<Ingresses, Instances<Ingress["Service"]>>()(
  "@deploy-mcp/runtime/Ingresses"
) {}

export class Dnses extends Context.Service<Dnses, Instances<Dns["Service"]>>()(
  "@deploy-mcp/runtime/Dnses"
) {}

/** From names to providers; `byDefault` is empty when there is none. */
export const make = <Shape>(
  all: ReadonlyMap<string, Shape>,
  byDefault: string,
  own: Instances<Shape>["own"] = () => ({})
): Instances<Shape> => ({
  default: byDefault,
  names: [...all.keys()],
  get: (name) => {
    const found = all.get(name)
    if (found === undefined) throw new Error(`there is no instance '${name}'`)
    return found
  },
  own
})

/** A registry with one provider in it, under the name that a platform without settings gives it. */
export const single = <Registry, Provided, Shape>(
  registry: Context.Key<Registry, Instances<Shape>>,
  service: Context.Key<Provided, Shape>,
  name: string
): Layer.Layer<Registry, never, Provided> =>
  Layer.effect(
    registry,
    Effect.map(service, (only) => make(new Map([[name, only]]), name))
  )

/** The registries that the core needs, over one provider of each service. */
export const singles = Layer.mergeAll(
  single(Gits, Git, "internal"),
  single(Builds, Build, "local"),
  single(Deploys, Deploy, "local"),
  single(Ingresses, Ingress, "local")
)
