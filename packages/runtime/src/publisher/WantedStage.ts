/** What rows want of a stage, as a node and as an ingress are told. Derives, never decides. */
import type { RouteSpec } from "@deploy-mcp/domain/Ingress"
import { isPortless } from "@deploy-mcp/domain/model/Artifact"
import type { StageId } from "@deploy-mcp/domain/model/Ids"
import type { ReleaseSpec, StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect } from "effect"
import { EveryOwner } from "../store/Owned.ts"
import { type ReleaseRow, ReleaseStore, type StageRow } from "../store/ReleaseStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { staticOf } from "../Workload.ts"

export interface WantedStage {
  readonly row: typeof StageRow.Type
  readonly hostnames: ReadonlyArray<string>
  /** The live one and a candidate; none of a stage in the trash. */
  readonly releases: ReadonlyArray<ReleaseRow>
}

/** Reads a stage in one transaction, so that the generation is the fence of all that is with it. */
export const wantedStages = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const everyone = yield* EveryOwner
  const store = yield* ReleaseStore
  return (stage: StageId): Effect.Effect<WantedStage> =>
    Effect.gen(function* () {
      const row = yield* store.stage(everyone, stage)
      if (row.trashedAt !== null) return { row, hostnames: [], releases: [] }
      const hostnames = yield* store.labels(row.ownerId, stage)
      return { row, hostnames, releases: yield* store.wanted(row.ownerId, stage) }
    }).pipe(whole)
})

export const stageSpec = (
  wanted: WantedStage,
  releases: ReadonlyArray<ReleaseSpec>
): StageSpec => ({
  stage: wanted.row.id,
  generation: wanted.row.generation,
  name: wanted.row.name,
  tenant: wanted.row.tenant,
  hostnames: ledHostnames(wanted),
  route: releases.find(({ release }) => release === wanted.row.liveReleaseId)?.release ?? null,
  releases
})

/** None while what is live, or will be first, has no port: the names are kept, and lead nowhere. */
const ledHostnames = ({ row, hostnames, releases }: WantedStage): ReadonlyArray<string> => {
  const decides = releases.find(({ id }) => id === row.liveReleaseId) ?? releases.at(-1)
  return decides !== undefined && isPortless(decides.artifact.runtime) ? [] : hostnames
}

/** Files are led to where they are, a program to where it was last reached. */
export const routeSpec = (wanted: WantedStage): RouteSpec => {
  const { row, releases } = wanted
  const live = releases.find(({ id }) => id === row.liveReleaseId)
  const to = live === undefined ? null : (staticOf(live) ?? live.endpoint)
  return {
    stage: row.id,
    generation: row.generation,
    name: row.name,
    hostnames: ledHostnames(wanted),
    target: live === undefined || to === null ? null : { release: live.id, to }
  }
}
