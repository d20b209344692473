import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** Rows name the instances that they use: a repository its git, a service its build and its deploy. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`ALTER TABLE repositories ADD COLUMN git_instance TEXT NOT NULL DEFAULT 'internal'`
  yield* sql`UPDATE services SET build_instance = 'local', deploy_instance = 'local'`
})
