import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** Which key asked for a deployment; none for a push. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`ALTER TABLE deployments ADD COLUMN key_id TEXT`
})
