/** What the edge of this machine has counted, by what people call its stages. */
import type { NodeMetrics, StageMetrics } from "@deploy-mcp/domain/node/NodeMetrics"
import { Effect } from "effect"
import { Deploys } from "./Instances.ts"
import { edgeInstance } from "./instances/Builtin.ts"
import type { Whose } from "./store/Owned.ts"
import { ServiceStore, type StageName } from "./store/ServiceStore.ts"

export interface Measured {
  readonly node: NodeMetrics
  /** Those that are not in the trash. */
  readonly stages: ReadonlyArray<StageName & { readonly metrics: StageMetrics }>
}

/** Null while the edge is away. */
export const measured = (
  whose: Whose
): Effect.Effect<Measured | null, never, Deploys | ServiceStore> =>
  Effect.gen(function* () {
    const node = yield* (yield* Deploys).get(edgeInstance).measure ?? Effect.succeed(null)
    if (node === null) return null
    const metrics = new Map(node.stages.map((one) => [one.stage, one]))
    const names = yield* (yield* ServiceStore).names(whose)
    const stages = names.flatMap((name) => {
      const found = metrics.get(name.stageId)
      return found === undefined ? [] : [{ ...name, metrics: found }]
    })
    return { node, stages }
  })
