import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** Where a release was last reached that an ingress leads visitors to. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`ALTER TABLE releases ADD COLUMN endpoint TEXT`
})
