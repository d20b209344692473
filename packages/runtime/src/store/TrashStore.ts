/** Services in the trash, until their retention is over. */
import { ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import {
  DeploymentId,
  type OwnerId,
  ProjectId,
  ServiceId,
  StageId
} from "@deploy-mcp/domain/model/Ids"
import { ServiceName } from "@deploy-mcp/domain/model/Names"
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Rows from "./Rows.ts"

export const TrashedRow = Schema.Struct({
  id: ServiceId,
  projectId: ProjectId,
  projectName: Schema.String,
  stageId: StageId,
  name: ServiceName,
  trashedAt: Schema.Int,
  trashedHostname: Schema.String
})
export type TrashedRow = typeof TrashedRow.Type

/** Before all that anybody may ask for. */
const longAgo = Number.MIN_SAFE_INTEGER

export class TrashStore extends Context.Service<TrashStore>()("@deploy-mcp/runtime/TrashStore", {
  make: Effect.gen(function* () {
    const sql = yield* SqlClient

    /** Whether the stage is still in the trash as it was put there with this generation. */
    const holds = (stage: StageId, generation: number) =>
      Rows.touched(sql`SELECT stages.id FROM stages
        JOIN services ON services.id = stages.service_id
        WHERE stages.id = ${stage} AND stages.generation = ${generation}
          AND services.trashed_at IS NOT NULL`)

    const select = sql`SELECT services.id, services.project_id, services.name, services.trashed_at,
        services.trashed_hostname, projects.name AS project_name, stages.id AS stage_id
      FROM services
      JOIN projects ON projects.id = services.project_id
      JOIN stages ON stages.service_id = services.id AND stages.name = 'production'
      WHERE services.trashed_at IS NOT NULL`

    return {
      holds,

      /** What an owner deleted after `since` (milliseconds since 1970), newest first. */
      list: (owner: OwnerId, project: ProjectId | null, since: number) =>
        Rows.all(TrashedRow)(
          project === null
            ? sql`${select} AND services.owner_id = ${owner} AND services.trashed_at > ${since}
                ORDER BY services.trashed_at DESC`
            : sql`${select} AND services.owner_id = ${owner} AND services.project_id = ${project}
                AND services.trashed_at > ${since} ORDER BY services.trashed_at DESC`
        ),

      /** From now on it can't be restored; false when it is not in there any more. */
      claim: (stage: StageId, generation: number) =>
        Rows.touched(sql`UPDATE services SET trashed_at = ${longAgo}
          WHERE trashed_at IS NOT NULL AND id = (SELECT service_id FROM stages
            WHERE id = ${stage} AND generation = ${generation}) RETURNING id`),

      /** Every owner's stages in there, as they were put there. */
      stages: Rows.all(Schema.Struct({ id: StageId, generation: Schema.Int }))(
        sql`SELECT stages.id, stages.generation FROM stages
          JOIN services ON services.id = stages.service_id
          WHERE services.trashed_at IS NOT NULL`
      ),

      /**
       * Out of the trash, under this hostname; false when it is not in there any more. The raised
       * generation makes the removal let go. Run it inside a transaction.
       */
      restore: Effect.fnUntraced(function* (owner: OwnerId, trashed: TrashedRow, label: string) {
        const now = yield* Clock.currentTimeMillis
        const restored = yield* Rows.touched(sql`UPDATE services
          SET trashed_at = NULL, trashed_hostname = NULL
          WHERE id = ${trashed.id} AND owner_id = ${owner} AND trashed_at IS NOT NULL RETURNING id`)
        if (!restored) return false
        yield* Rows.write(sql`UPDATE stages SET generation = generation + 1
          WHERE id = ${trashed.stageId}`)
        yield* Rows.write(
          sql`INSERT INTO hostnames ${sql.insert({ label, owner_id: owner, stage_id: trashed.stageId, created_at: now })}`
        )
        return true
      }),

      /** Its deployments, and the artifacts that no other stage uses. */
      contents: Effect.fnUntraced(function* (stage: StageId) {
        const keptElsewhere = sql`SELECT artifact_key FROM releases
          WHERE stage_id <> ${stage} AND state IN ('candidate', 'live', 'retired')`
        const artifacts = yield* Rows.all(Schema.Struct({ artifactKey: ArtifactKey }))(
          sql`SELECT artifact_key FROM releases WHERE stage_id = ${stage}
              AND artifact_key NOT IN (${keptElsewhere})
            UNION SELECT artifact_key FROM deployments WHERE stage_id = ${stage}
              AND artifact_key IS NOT NULL
              AND artifact_key NOT IN (${keptElsewhere})
              AND artifact_key NOT IN (SELECT artifact_key FROM deployments
                WHERE stage_id <> ${stage} AND artifact_key IS NOT NULL AND status = 'running')`
        )
        const deployments = yield* Rows.all(Schema.Struct({ id: DeploymentId }))(
          sql`SELECT id FROM deployments WHERE stage_id = ${stage}`
        )
        return {
          artifacts: artifacts.map((row) => row.artifactKey),
          deployments: deployments.map((row) => row.id)
        }
      }),

      /** Forgets the stage and its service; does nothing when it is not in the trash any more. */
      purge: Effect.fnUntraced(function* (stage: StageId, generation: number) {
        yield* sql
          .withTransaction(
            Effect.gen(function* () {
              if (!(yield* holds(stage, generation))) return
              const { serviceId } = yield* Rows.one(Schema.Struct({ serviceId: Schema.String }))(
                sql`SELECT service_id FROM stages WHERE id = ${stage}`
              )
              yield* Rows.write(sql`DELETE FROM releases WHERE stage_id = ${stage}`)
              yield* Rows.write(sql`DELETE FROM deployment_phases WHERE deployment_id IN
                (SELECT id FROM deployments WHERE stage_id = ${stage})`)
              yield* Rows.write(sql`DELETE FROM deployment_retries WHERE deployment_id IN
                (SELECT id FROM deployments WHERE stage_id = ${stage})`)
              yield* Rows.write(sql`DELETE FROM deployments WHERE stage_id = ${stage}`)
              yield* Rows.write(sql`DELETE FROM variables WHERE stage_id = ${stage}`)
              yield* Rows.write(sql`DELETE FROM stages WHERE id = ${stage}`)
              yield* Rows.write(sql`DELETE FROM services WHERE id = ${serviceId}`)
            })
          )
          .pipe(Effect.orDie)
      })
    }
  })
}) {
  static readonly layer = Layer.effect(TrashStore, TrashStore.make)
}
