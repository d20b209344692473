import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** Repositories by `host/owner/name`, and the short-lived tokens that open one of them. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`CREATE TABLE repositories (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    host TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (host, owner_name, name)
  )`
  yield* sql`CREATE TABLE repository_tokens (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    hash TEXT NOT NULL UNIQUE,
    access TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
  )`
})
