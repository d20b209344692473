import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** What is old is found without what is not. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`CREATE INDEX deployments_finished ON deployments (finished_at)`
})
