/** What rows say of things that are kept elsewhere, and where they contradict each other. */
import { ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import { DeploymentId, ReleaseId, type RepositoryId, StageId } from "@deploy-mcp/domain/model/Ids"
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Statement } from "effect/sql/Statement"
import { EveryOwner, ownedRows } from "./Owned.ts"
import { RepositoryRow } from "./RepositoryStore.ts"
import * as Rows from "./Rows.ts"

const WrongStage = Schema.Struct({
  id: StageId,
  name: Schema.String,
  liveReleaseId: Schema.NullOr(ReleaseId)
})
export type WrongStage = typeof WrongStage.Type

export class ReconcileStore extends Context.Service<ReconcileStore>()(
  "@deploy-mcp/runtime/ReconcileStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      const { from, update } = ownedRows(sql)(yield* EveryOwner)
      const DeploymentName = Schema.Struct({
        id: DeploymentId,
        number: Schema.Int,
        name: Schema.String
      })
      return {
        /** Artifacts that a release can still need, or a build that is under way. */
        artifacts: idsOf(
          ArtifactKey,
          sql`SELECT artifact_key AS id FROM ${from("releases")}
          WHERE state <> 'collected' UNION SELECT artifact_key AS id FROM ${from("deployments")}
          WHERE status IN ('queued', 'running') AND artifact_key IS NOT NULL`
        ),

        deployments: idsOf(DeploymentId, sql`SELECT id FROM ${from("deployments")}`),

        /** Those with a checkout of their own, as far as they have come. */
        open: idsOf(
          DeploymentId,
          sql`SELECT id FROM ${from("deployments")} WHERE status IN ('queued', 'running')`
        ),

        repositories: Rows.all(RepositoryRow)(sql`SELECT * FROM ${from("repositories")}`),

        hasRepository: (id: RepositoryId) =>
          Rows.touched(sql`SELECT id FROM ${from("repositories")} WHERE id = ${id}`),

        /** Those that should have a workflow at work. */
        running: Rows.all(DeploymentName)(
          sql`SELECT deployments.id, deployments.number, services.name FROM ${from("deployments")}
            JOIN ${from("services")} ON services.id = deployments.service_id
            WHERE deployments.status = 'running'`
        ),

        /** Stages that point to no live release of theirs, or have one that they do not point to. */
        wrongStages: Rows.all(WrongStage)(
          sql`SELECT stages.id, services.name, stages.live_release_id FROM ${from("stages")}
            JOIN ${from("services")} ON services.id = stages.service_id
            WHERE (stages.live_release_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ${from("releases")}
                WHERE releases.id = stages.live_release_id AND releases.state = 'live'))
              OR EXISTS (SELECT 1 FROM ${from("releases")} WHERE releases.stage_id = stages.id
                AND releases.state = 'live'
                AND (stages.live_release_id IS NULL OR releases.id <> stages.live_release_id))`
        ),

        /**
         * The release that a stage points to is live; else, when that is lost or its artifact is gone,
         * the newest that says it is; else none.
         */
        mendStage: Effect.fnUntraced(function* (stage: StageId) {
          yield* sql
            .withTransaction(
              Effect.gen(function* () {
                const [found] = yield* Rows.all(Schema.Struct({ id: ReleaseId }))(
                  sql`SELECT releases.id FROM ${from("releases")} JOIN ${from("stages")} ON stages.id = releases.stage_id
                    WHERE stages.id = ${stage} AND (releases.state = 'live'
                      OR (releases.id = stages.live_release_id AND releases.state <> 'collected'))
                    ORDER BY CASE WHEN releases.id = stages.live_release_id THEN 0 ELSE 1 END,
                      releases.number DESC LIMIT 1`
                )
                const live = found?.id ?? null
                yield* Rows.write(sql`${update("releases", sql`state = 'retired'`)}
                  AND stage_id = ${stage} AND state = 'live'`)
                yield* Rows.write(sql`${update("releases", sql`state = 'live'`)} AND id = ${live}`)
                const led = sql`live_release_id = ${live}, generation = generation + 1`
                yield* Rows.write(sql`${update("stages", led)} AND id = ${stage}`)
              })
            )
            .pipe(Effect.orDie)
        })
      }
    })
  }
) {
  static readonly layer = Layer.effect(ReconcileStore, ReconcileStore.make)
}

const idsOf = <Id extends string>(
  schema: Schema.Codec<Id, string>,
  statement: Statement<unknown>
): Effect.Effect<ReadonlySet<Id>> =>
  Effect.map(
    Rows.all(Schema.Struct({ id: schema }))(statement),
    (rows) => new Set(rows.map(({ id }) => id))
  )
