/** What the kit of Deploy tells a node to run. */
import { ReleaseId, StageId } from "../model/Ids.ts"
import type { ImageWorkload, StageSpec, Workload } from "../node/NodeProtocol.ts"

/** Due in no test. */
export const yearly = { cron: "0 0 1 1 *", limit: 1_000 }

/** For a provider that runs nothing of the kind. */
export const worker: ImageWorkload = {
  kind: "image",
  image: "nothing",
  start: "true",
  variables: null,
  port: null,
  healthPath: null,
  listens: false,
  memory: 64,
  cpu: 1,
  startTimeout: 1_000
}

/** A stage of its own for each test; its route leads to the release with this index. */
export const stageOf = (
  n: number,
  generation: number,
  workloads: ReadonlyArray<Workload>,
  route: number | null
): StageSpec => {
  const releases = workloads.map((workload, index) => ({
    release: ReleaseId.make(`rel_${`${n}${index}`.padStart(20, "c")}`),
    workload
  }))
  return {
    stage: StageId.make(`stg_${String(n).padStart(20, "c")}`),
    generation,
    name: `kit-${n}`,
    tenant: 0,
    hostnames: [`kit-${n}`],
    route: route === null ? null : (releases[route]?.release ?? null),
    releases
  }
}
