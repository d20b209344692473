import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** How much of an owner's quota a release takes, as its artifact says it. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`ALTER TABLE releases ADD COLUMN artifact_bytes BIGINT NOT NULL DEFAULT 0`
  yield* sql.onDialectOrElse({
    pg: () =>
      sql`UPDATE releases SET artifact_bytes = CAST(CAST(artifact AS json)->>'bytes' AS BIGINT)`,
    orElse: () => sql`UPDATE releases SET artifact_bytes = json_extract(artifact, '$.bytes')`
  })
  yield* sql`CREATE INDEX releases_usage ON releases (owner_id, artifact_key, artifact_bytes)
    WHERE state <> 'collected'`
})
