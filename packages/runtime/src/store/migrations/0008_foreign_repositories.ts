import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** Two owners may deploy from one repository of another host: it is unique for each of them. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`CREATE TABLE repositories_next (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    host TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    git_instance TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (owner_id, host, owner_name, name)
  )`
  yield* sql`CREATE TABLE repository_tokens_next (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    repository_id TEXT NOT NULL REFERENCES repositories_next (id) ON DELETE CASCADE,
    hash TEXT NOT NULL UNIQUE,
    access TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
  )`
  yield* sql`INSERT INTO repositories_next
      (id, owner_id, host, owner_name, name, description, git_instance, created_at)
    SELECT id, owner_id, host, owner_name, name, description, git_instance, created_at
    FROM repositories`
  yield* sql`INSERT INTO repository_tokens_next
      (id, owner_id, repository_id, hash, access, created_at, expires_at)
    SELECT id, owner_id, repository_id, hash, access, created_at, expires_at FROM repository_tokens`
  yield* sql`DROP TABLE repository_tokens`
  yield* sql`DROP TABLE repositories`
  yield* sql`ALTER TABLE repositories_next RENAME TO repositories`
  yield* sql`ALTER TABLE repository_tokens_next RENAME TO repository_tokens`
})
