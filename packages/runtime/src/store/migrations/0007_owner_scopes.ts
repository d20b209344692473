import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** The owner's first key may do everything; before `repositories:delete` was there, this was everything. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`UPDATE keys SET scopes = ${JSON.stringify([...everything, "repositories:delete"])}
    WHERE name = 'owner' AND project_id IS NULL AND scopes = ${JSON.stringify(everything)}`
})

const everything = [
  "services:read",
  "services:deploy",
  "services:delete",
  "repositories:read",
  "repositories:write",
  "variables:read",
  "keys:manage"
]
