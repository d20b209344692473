/** How many bytes owners have. */

import type { ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import { type OwnerId, StageId } from "@deploy-mcp/domain/model/Ids"
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { ownedRows, type Whose } from "./Owned.ts"
import * as Rows from "./Rows.ts"

const Bytes = Schema.Struct({ bytes: Schema.Int })

const PrunableStage = Schema.Struct({ id: StageId, trashedAt: Schema.NullOr(Schema.Int) })

export class UsageStore extends Context.Service<UsageStore>()("@deploy-mcp/runtime/UsageStore", {
  make: Effect.gen(function* () {
    const sql = yield* SqlClient
    const rowsOf = ownedRows(sql)
    return {
      /** Bytes that rows and workflows take. */
      database: Effect.map(
        Rows.one(Bytes)(
          sql.onDialectOrElse({
            pg: () => sql`SELECT CAST(pg_database_size(current_database()) AS BIGINT) AS bytes`,
            orElse: () => sql`SELECT page_count * page_size AS bytes
              FROM pragma_page_count(), pragma_page_size()`
          })
        ),
        ({ bytes }) => bytes
      ),

      /** Of an owner's artifacts that are kept, those in the trash included; each counts once. */
      artifacts: (owner: OwnerId) =>
        Effect.map(
          Rows.one(Bytes)(sql`SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM (
            SELECT MAX(artifact_bytes) AS bytes FROM ${rowsOf(owner).from("releases")}
            WHERE state <> 'collected' GROUP BY artifact_key) AS kept`),
          ({ bytes }) => bytes
        ),

      /** The same by owner, of each who has any. */
      artifactsByOwner: (whose: Whose) =>
        Rows.all(Schema.Struct({ owner: Schema.String, bytes: Schema.Int }))(
          sql`SELECT owners.name AS owner, CAST(SUM(kept.bytes) AS BIGINT) AS bytes FROM (
              SELECT owner_id, MAX(artifact_bytes) AS bytes FROM ${rowsOf(whose).from("releases")}
              WHERE state <> 'collected' GROUP BY owner_id, artifact_key) AS kept
            JOIN owners ON owners.id = kept.owner_id GROUP BY owners.name ORDER BY owners.name`
        ),

      /** Whether the owner's use has this artifact in it already. */
      counts: (owner: OwnerId, key: ArtifactKey) =>
        Rows.touched(sql`SELECT id FROM ${rowsOf(owner).from("releases")}
          WHERE artifact_key = ${key} AND state <> 'collected' LIMIT 1`),

      /** An owner's stages with artifacts that do not serve now. */
      prunable: (owner: OwnerId) => {
        const { from } = rowsOf(owner)
        return Rows.all(PrunableStage)(
          sql`SELECT DISTINCT stages.id, services.trashed_at FROM ${from("releases")}
            JOIN ${from("stages")} ON stages.id = releases.stage_id
            JOIN ${from("services")} ON services.id = stages.service_id
            WHERE releases.state IN ('retired', 'discarded')`
        )
      }
    }
  })
}) {
  static readonly layer = Layer.effect(UsageStore, UsageStore.make)
}
