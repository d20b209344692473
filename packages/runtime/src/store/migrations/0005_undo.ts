import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/**
 * Going back: a deployment may take its release from an older one, and remembers which commit the
 * branch had then, so that a push event of that commit does not undo it. A spec is compared by its
 * parts, since they can be changed one by one.
 */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`ALTER TABLE deployments ADD COLUMN head_sha TEXT`
  yield* sql`ALTER TABLE deployments ADD COLUMN source_release_id TEXT`
  yield* sql`ALTER TABLE services DROP COLUMN spec_hash`
})
