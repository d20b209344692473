import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** What a deployment tried again, and why. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`CREATE TABLE deployment_retries (
    deployment_id TEXT NOT NULL REFERENCES deployments (id),
    owner_id TEXT NOT NULL REFERENCES owners (id),
    phase TEXT NOT NULL,
    at BIGINT NOT NULL,
    cause TEXT NOT NULL
  )`
  yield* sql`CREATE INDEX deployment_retries_deployment ON deployment_retries (deployment_id)`
})
