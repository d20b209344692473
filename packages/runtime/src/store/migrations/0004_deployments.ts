import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** Deployments, the releases they make, and the epochs of nodes. */
export default Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`CREATE TABLE deployments (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    service_id TEXT NOT NULL REFERENCES services (id),
    stage_id TEXT NOT NULL REFERENCES stages (id),
    number INTEGER NOT NULL,
    cause TEXT NOT NULL,
    commit_sha TEXT NOT NULL,
    settings_revision INTEGER NOT NULL,
    status TEXT NOT NULL,
    artifact_key TEXT,
    release_id TEXT,
    failure TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    UNIQUE (stage_id, number)
  )`
  yield* sql`CREATE INDEX deployments_open ON deployments (status) WHERE status IN ('queued', 'running')`
  yield* sql`CREATE TABLE deployment_phases (
    deployment_id TEXT NOT NULL REFERENCES deployments (id),
    phase TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (deployment_id, phase)
  )`
  yield* sql`CREATE TABLE releases (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners (id),
    stage_id TEXT NOT NULL REFERENCES stages (id),
    deployment_id TEXT NOT NULL UNIQUE REFERENCES deployments (id),
    number INTEGER NOT NULL,
    artifact_key TEXT NOT NULL,
    artifact TEXT NOT NULL,
    settings TEXT NOT NULL,
    variables TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (stage_id, number)
  )`
  yield* sql`CREATE INDEX releases_artifact ON releases (artifact_key)`
  yield* sql`CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    epoch BIGINT NOT NULL
  )`
  yield* sql`CREATE TABLE idempotency (
    owner_id TEXT NOT NULL REFERENCES owners (id),
    command TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    subject TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner_id, command, key)
  )`
})
