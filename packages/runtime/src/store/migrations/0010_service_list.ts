import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** A page of an owner's services is read without the others. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`CREATE INDEX services_list ON services (owner_id, name) WHERE trashed_at IS NULL`
})
