/** Append only: a migration that has landed is never edited. */
import { Effect, Layer } from "effect"
import * as Migrator from "effect/sql/Migrator"
import owners from "./migrations/0001_owners.ts"
import repositories from "./migrations/0002_repositories.ts"
import services from "./migrations/0003_services.ts"
import deployments from "./migrations/0004_deployments.ts"
import undo from "./migrations/0005_undo.ts"
import instances from "./migrations/0006_instances.ts"
import ownerScopes from "./migrations/0007_owner_scopes.ts"
import foreignRepositories from "./migrations/0008_foreign_repositories.ts"
import endpoints from "./migrations/0009_endpoints.ts"
import serviceList from "./migrations/0010_service_list.ts"
import retries from "./migrations/0011_retries.ts"
import artifactBytes from "./migrations/0012_artifact_bytes.ts"
import askedBy from "./migrations/0013_asked_by.ts"
import finished from "./migrations/0014_finished.ts"

/** Runs what is missing; the names of those that it ran. */
export const run = Migrator.make({})({
  table: "deploy_mcp_migrations",
  loader: Migrator.fromRecord({
    "0001_owners": owners,
    "0002_repositories": repositories,
    "0003_services": services,
    "0004_deployments": deployments,
    "0005_undo": undo,
    "0006_instances": instances,
    "0007_owner_scopes": ownerScopes,
    "0008_foreign_repositories": foreignRepositories,
    "0009_endpoints": endpoints,
    "0010_service_list": serviceList,
    "0011_retries": retries,
    "0012_artifact_bytes": artifactBytes,
    "0013_asked_by": askedBy,
    "0014_finished": finished
  })
}).pipe(
  Effect.map((ran) => ran.map(([id, name]) => `${String(id).padStart(4, "0")}_${name}`)),
  Effect.orDie
)

export const layer = Layer.effectDiscard(run)
