import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** Services, their stages, hostnames and variables. A trashed service keeps its rows but no name. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`CREATE TABLE services (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    repo_host TEXT NOT NULL,
    repo_owner TEXT NOT NULL,
    repo_name TEXT NOT NULL,
    branch TEXT NOT NULL,
    settings TEXT NOT NULL,
    settings_revision INTEGER NOT NULL,
    spec_hash TEXT NOT NULL,
    build_instance TEXT NOT NULL,
    deploy_instance TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    trashed_at BIGINT,
    trashed_hostname TEXT
  )`
  yield* sql`CREATE UNIQUE INDEX services_name ON services (project_id, name) WHERE trashed_at IS NULL`
  yield* sql`CREATE INDEX services_repository ON services (repo_host, repo_owner, repo_name)`
  yield* sql`CREATE TABLE stages (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    service_id TEXT NOT NULL REFERENCES services (id),
    name TEXT NOT NULL,
    generation BIGINT NOT NULL,
    live_release_id TEXT,
    deployments INTEGER NOT NULL,
    releases INTEGER NOT NULL,
    UNIQUE (service_id, name)
  )`
  yield* sql`CREATE TABLE hostnames (
    label TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    stage_id TEXT NOT NULL REFERENCES stages (id),
    created_at BIGINT NOT NULL
  )`
  yield* sql`CREATE INDEX hostnames_stage ON hostnames (stage_id)`
  yield* sql`CREATE TABLE variables (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    stage_id TEXT NOT NULL REFERENCES stages (id),
    name TEXT NOT NULL,
    sealed TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    runtime_only INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    replaced_at BIGINT
  )`
  yield* sql`CREATE UNIQUE INDEX variables_name ON variables (stage_id, name) WHERE replaced_at IS NULL`
})
