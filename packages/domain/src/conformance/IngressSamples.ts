/** Stages and routes for the kit of Ingress. */
import type { RouteSpec, RouteTarget } from "../Ingress.ts"
import { ReleaseId, StageId } from "../model/Ids.ts"

let stages = 0
/** Each test has stages of its own: the world outlives a test. */
export const newStage = (): StageId => {
  stages += 1
  return StageId.make(`stg_${String(stages).padStart(20, "g")}`)
}

export const labelOf = (stage: StageId): string => `kit-${Number(stage.replace(/^stg_g*/u, ""))}`

/** Leads the hostname of the stage to a release of it, told apart by number. */
export const routeOf = (
  stage: StageId,
  generation: number,
  to: RouteTarget["to"],
  release = 0
): RouteSpec => ({
  stage,
  generation,
  name: labelOf(stage),
  hostnames: [labelOf(stage)],
  target: { release: ReleaseId.make(`rel_${`${release}`.padStart(20, stage.slice(-4))}`), to }
})
