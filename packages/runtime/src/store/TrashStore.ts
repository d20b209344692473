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
import { ownedRows, type Whose } from "./Owned.ts"
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

    const rowsOf = ownedRows(sql)

    const trashedStages = (whose: Whose) => {
      const { from } = rowsOf(whose)
      return sql`SELECT stages.id, stages.generation FROM ${from("stages")}
        JOIN ${from("services")} ON services.id = stages.service_id
        WHERE services.trashed_at IS NOT NULL`
    }

    /** Whether the stage is still in the trash as it was put there with this generation. */
    const holds = (whose: Whose, stage: StageId, generation: number) =>
      Rows.touched(sql`${trashedStages(whose)}
        AND stages.id = ${stage} AND stages.generation = ${generation}`)

    const select = (owner: OwnerId) => {
      const { from } = rowsOf(owner)
      return sql`SELECT services.id, services.project_id, services.name, services.trashed_at,
          services.trashed_hostname, projects.name AS project_name, stages.id AS stage_id
        FROM ${from("services")}
        JOIN ${from("projects")} ON projects.id = services.project_id
        JOIN ${from("stages")} ON stages.service_id = services.id AND stages.name = 'production'
        WHERE services.trashed_at IS NOT NULL`
    }

    return {
      holds,

      /** What an owner deleted after `since` (milliseconds since 1970), newest first. */
      list: (owner: OwnerId, project: ProjectId | null, since: number) =>
        Rows.all(TrashedRow)(
          project === null
            ? sql`${select(owner)} AND services.trashed_at > ${since}
                ORDER BY services.trashed_at DESC`
            : sql`${select(owner)} AND services.project_id = ${project}
                AND services.trashed_at > ${since} ORDER BY services.trashed_at DESC`
        ),

      /** From now on it can't be restored; false when it is not in there any more. */
      claim: (whose: Whose, stage: StageId, generation: number) => {
        const { from, update } = rowsOf(whose)
        return Rows.touched(sql`${update("services", sql`trashed_at = ${longAgo}`)}
          AND trashed_at IS NOT NULL AND id = (SELECT service_id FROM ${from("stages")}
            WHERE id = ${stage} AND generation = ${generation}) RETURNING id`)
      },

      /** The stages in there, as they were put there. */
      stages: (whose: Whose) =>
        Rows.all(Schema.Struct({ id: StageId, generation: Schema.Int }))(trashedStages(whose)),

      /**
       * Out of the trash, under this hostname; false when it is not in there any more. The raised
       * generation makes the removal let go. Run it inside a transaction.
       */
      restore: Effect.fnUntraced(function* (owner: OwnerId, trashed: TrashedRow, label: string) {
        const now = yield* Clock.currentTimeMillis
        const { update } = rowsOf(owner)
        const kept = sql`trashed_at = NULL, trashed_hostname = NULL`
        const restored = yield* Rows.touched(sql`${update("services", kept)}
          AND id = ${trashed.id} AND trashed_at IS NOT NULL RETURNING id`)
        if (!restored) return false
        yield* Rows.write(sql`${update("stages", sql`generation = generation + 1`)}
          AND id = ${trashed.stageId}`)
        yield* Rows.write(
          sql`INSERT INTO hostnames ${sql.insert({ label, owner_id: owner, stage_id: trashed.stageId, created_at: now })}`
        )
        return true
      }),

      /** Its deployments, and the artifacts that no other stage uses. */
      contents: Effect.fnUntraced(function* (whose: Whose, stage: StageId) {
        const { from } = rowsOf(whose)
        const neededElsewhere = sql`SELECT artifact_key FROM ${from("releases")}
            WHERE stage_id <> ${stage} AND state IN ('candidate', 'live', 'retired')
          UNION SELECT artifact_key FROM ${from("deployments")}
            WHERE stage_id <> ${stage} AND artifact_key IS NOT NULL AND status = 'running'`
        const artifacts = yield* Rows.all(Schema.Struct({ artifactKey: ArtifactKey }))(
          sql`SELECT artifact_key FROM ${from("releases")} WHERE stage_id = ${stage}
              AND artifact_key NOT IN (${neededElsewhere})
            UNION SELECT artifact_key FROM ${from("deployments")} WHERE stage_id = ${stage}
              AND artifact_key IS NOT NULL AND artifact_key NOT IN (${neededElsewhere})`
        )
        const deployments = yield* Rows.all(Schema.Struct({ id: DeploymentId }))(
          sql`SELECT id FROM ${from("deployments")} WHERE stage_id = ${stage}`
        )
        return {
          artifacts: artifacts.map((row) => row.artifactKey),
          deployments: deployments.map((row) => row.id)
        }
      }),

      /** Forgets the stage and its service; does nothing when it is not in the trash any more. */
      purge: Effect.fnUntraced(function* (whose: Whose, stage: StageId, generation: number) {
        const { from, remove } = rowsOf(whose)
        yield* sql
          .withTransaction(
            Effect.gen(function* () {
              if (!(yield* holds(whose, stage, generation))) return
              const { serviceId } = yield* Rows.one(Schema.Struct({ serviceId: Schema.String }))(
                sql`SELECT service_id FROM ${from("stages")} WHERE id = ${stage}`
              )
              yield* Rows.write(sql`${remove("releases")} AND stage_id = ${stage}`)
              for (const table of ["deployment_phases", "deployment_retries"] as const) {
                yield* Rows.write(sql`${remove(table)} AND deployment_id IN
                  (SELECT id FROM ${from("deployments")} WHERE stage_id = ${stage})`)
              }
              yield* Rows.write(sql`${remove("deployments")} AND stage_id = ${stage}`)
              yield* Rows.write(sql`${remove("variables")} AND stage_id = ${stage}`)
              yield* Rows.write(sql`${remove("stages")} AND id = ${stage}`)
              yield* Rows.write(sql`${remove("services")} AND id = ${serviceId}`)
            })
          )
          .pipe(Effect.orDie)
      })
    }
  })
}) {
  static readonly layer = Layer.effect(TrashStore, TrashStore.make)
}
