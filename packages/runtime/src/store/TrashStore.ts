/** Services in the trash, until their retention is over. */
import { ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import { DeploymentId, type StageId } from "@deploy-mcp/domain/model/Ids"
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Rows from "./Rows.ts"

export class TrashStore extends Context.Service<TrashStore>()("@deploy-mcp/runtime/TrashStore", {
  make: Effect.gen(function* () {
    const sql = yield* SqlClient

    /** Whether the stage is still in the trash as it was put there with this generation. */
    const holds = (stage: StageId, generation: number) =>
      Rows.touched(sql`SELECT stages.id FROM stages
        JOIN services ON services.id = stages.service_id
        WHERE stages.id = ${stage} AND stages.generation = ${generation}
          AND services.trashed_at IS NOT NULL`)

    return {
      holds,

      /** Its deployments, and the artifacts that no other stage uses. */
      contents: Effect.fnUntraced(function* (stage: StageId) {
        const artifacts = yield* Rows.all(Schema.Struct({ artifactKey: ArtifactKey }))(
          sql`SELECT DISTINCT artifact_key FROM releases WHERE stage_id = ${stage}
            AND artifact_key NOT IN (SELECT artifact_key FROM releases WHERE stage_id <> ${stage})`
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
