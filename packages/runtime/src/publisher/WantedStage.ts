/** What rows want of a stage, as a node and as an ingress are told. Derives, never decides. */
import type { RouteSpec } from "@deploy-mcp/domain/Ingress"
import type { StageId } from "@deploy-mcp/domain/model/Ids"
import type { ReleaseSpec, StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { type ReleaseRow, ReleaseStore, type StageRow } from "../store/ReleaseStore.ts"
import { staticOf } from "../Workload.ts"

export interface WantedStage {
  readonly row: typeof StageRow.Type
  readonly hostnames: ReadonlyArray<string>
  /** The live one and a candidate; none of a stage in the trash. */
  readonly releases: ReadonlyArray<ReleaseRow>
}

/** Reads a stage in one transaction, so that the generation is the fence of all that is with it. */
export const wantedStages = Effect.gen(function* () {
  const sql = yield* SqlClient
  const store = yield* ReleaseStore
  return (stage: StageId): Effect.Effect<WantedStage> =>
    Effect.gen(function* () {
      const row = yield* store.stage(stage)
      if (row.trashedAt !== null) return { row, hostnames: [], releases: [] }
      const hostnames = yield* store.labels(stage)
      return { row, hostnames, releases: yield* store.wanted(stage) }
    }).pipe(sql.withTransaction, Effect.orDie)
})

export const stageSpec = (
  { row, hostnames }: WantedStage,
  releases: ReadonlyArray<ReleaseSpec>
): StageSpec => ({
  stage: row.id,
  generation: row.generation,
  name: row.name,
  tenant: row.tenant,
  hostnames,
  route: releases.find(({ release }) => release === row.liveReleaseId)?.release ?? null,
  releases
})

/** Files are led to where they are, a program to where it was last reached. */
export const routeSpec = ({ row, hostnames, releases }: WantedStage): RouteSpec => {
  const live = releases.find(({ id }) => id === row.liveReleaseId)
  const to = live === undefined ? null : (staticOf(live) ?? live.endpoint)
  return {
    stage: row.id,
    generation: row.generation,
    name: row.name,
    hostnames,
    target: live === undefined || to === null ? null : { release: live.id, to }
  }
}
