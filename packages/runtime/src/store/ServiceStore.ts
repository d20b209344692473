/** Services with their production stage, hostname and variables. */
import {
  DeploymentId,
  Ids,
  OwnerId,
  ProjectId,
  ReleaseId,
  ServiceId,
  StageId,
  VariableId
} from "@deploy-mcp/domain/model/Ids"
import { BranchName, ServiceName } from "@deploy-mcp/domain/model/Names"
import { type RepositoryIdentity, ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { ownedRows, type Whose } from "./Owned.ts"
import * as Rows from "./Rows.ts"

export const ServiceRow = Schema.Struct({
  id: ServiceId,
  ownerId: OwnerId,
  projectId: ProjectId,
  projectName: Schema.String,
  stageId: StageId,
  liveReleaseId: Schema.NullOr(ReleaseId),
  liveCommit: Schema.NullOr(Schema.String),
  liveArtifact: Schema.NullOr(Schema.String),
  liveSettings: Schema.NullOr(Schema.String),
  label: Schema.String,
  name: ServiceName,
  repoHost: Schema.String,
  repoOwner: Schema.String,
  repoName: Schema.String,
  branch: BranchName,
  settings: Schema.fromJsonString(ServiceSettings),
  settingsRevision: Schema.Int,
  buildInstance: Schema.String,
  deployInstance: Schema.String
})
export type ServiceRow = typeof ServiceRow.Type

/** A service's name and what it deploys from. */
const ServiceSource = Schema.Struct({
  name: ServiceRow.fields.name,
  projectId: ServiceRow.fields.projectId,
  projectName: ServiceRow.fields.projectName,
  repoHost: ServiceRow.fields.repoHost,
  repoOwner: ServiceRow.fields.repoOwner,
  repoName: ServiceRow.fields.repoName
})
export type ServiceSource = typeof ServiceSource.Type

/** The repository that a service deploys from; it may not exist yet. */
export const repositoryOf = (
  row: Pick<ServiceSource, "repoHost" | "repoOwner" | "repoName">
): RepositoryIdentity => ({ host: row.repoHost, owner: row.repoOwner, name: row.repoName })

export const VariableRow = Schema.Struct({
  id: VariableId,
  name: Schema.String,
  sealed: Schema.String,
  fingerprint: Schema.String,
  runtimeOnly: Schema.Int
})
export type VariableRow = typeof VariableRow.Type

/** What people call a stage. */
export const StageName = Schema.Struct({
  stageId: StageId,
  ownerId: OwnerId,
  ownerName: Schema.String,
  projectId: ProjectId,
  projectName: Schema.String,
  name: ServiceName
})
export type StageName = typeof StageName.Type

/** Variables are sealed under this context, so that one row's value cannot pass for another's. */
export const variableContext = (stage: StageId, name: string) => `variable ${stage} ${name}`

export interface NewService {
  readonly owner: OwnerId
  readonly project: ProjectId
  readonly name: ServiceName
  readonly repository: RepositoryIdentity
  readonly branch: BranchName
  readonly settings: ServiceSettings
  readonly label: string
  readonly buildInstance: string
  readonly deployInstance: string
}

const ProjectCount = Schema.Struct({ projectId: ProjectId, count: Schema.Int })

/** Null: all projects together. */
export const countIn = (
  counts: ReadonlyArray<typeof ProjectCount.Type>,
  project: ProjectId | null
): number =>
  counts
    .filter(({ projectId }) => project === null || projectId === project)
    .reduce((sum, { count }) => sum + count, 0)

/** `after`: the one that the page before ended with. */
export interface ServicePage {
  readonly owner: OwnerId
  readonly project: ProjectId | null
  readonly after: { readonly name: string; readonly project: string } | null
  readonly limit: number
}

export class ServiceStore extends Context.Service<ServiceStore>()(
  "@deploy-mcp/runtime/ServiceStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      const ids = yield* Ids
      const rowsOf = ownedRows(sql)

      const select = (whose: Whose) => {
        const { from } = rowsOf(whose)
        return sql`SELECT services.*, projects.name AS project_name, stages.id AS stage_id,
            stages.live_release_id, hostnames.label,
            (SELECT deployments.commit_sha FROM ${from("releases")}
              JOIN ${from("deployments")} ON deployments.id = releases.deployment_id
              WHERE releases.id = stages.live_release_id) AS live_commit,
            (SELECT releases.artifact FROM ${from("releases")}
              WHERE releases.id = stages.live_release_id) AS live_artifact,
            (SELECT releases.settings FROM ${from("releases")}
              WHERE releases.id = stages.live_release_id) AS live_settings
          FROM ${from("services")}
          JOIN ${from("projects")} ON projects.id = services.project_id
          JOIN ${from("stages")} ON stages.service_id = services.id AND stages.name = 'production'
          JOIN ${from("hostnames")} ON hostnames.stage_id = stages.id
          WHERE services.trashed_at IS NULL`
      }

      return {
        /** One not trashed, by name. */
        find: (owner: OwnerId, project: ProjectId, name: ServiceName) =>
          Rows.first(ServiceRow)(sql`${select(owner)}
            AND services.project_id = ${project} AND services.name = ${name}`),

        byStage: (owner: OwnerId, stage: StageId) =>
          Rows.first(ServiceRow)(sql`${select(owner)} AND stages.id = ${stage}`),

        /** Without those in the trash. */
        names: (whose: Whose) => {
          const { from } = rowsOf(whose)
          return Rows.all(StageName)(sql`SELECT stages.id AS stage_id, services.owner_id,
              owners.name AS owner_name, services.project_id, projects.name AS project_name,
              services.name
            FROM ${from("stages")} JOIN ${from("services")} ON services.id = stages.service_id
              JOIN ${from("projects")} ON projects.id = services.project_id
              JOIN owners ON owners.id = services.owner_id
            WHERE services.trashed_at IS NULL ORDER BY owners.name, projects.name, services.name`)
        },

        /** Of one project or of all, by name and then by the project's; those that come after one. */
        page: ({ owner, project, after, limit }: ServicePage) =>
          Rows.all(ServiceRow)(sql`${select(owner)}
            ${project === null ? sql`` : sql`AND services.project_id = ${project}`}
            AND services.name >= ${after?.name ?? ""}
            AND (services.name > ${after?.name ?? ""} OR projects.name > ${after?.project ?? ""})
            ORDER BY services.name, projects.name LIMIT ${limit}`),

        /** How many each project holds that has any. */
        counts: (owner: OwnerId) =>
          Rows.all(ProjectCount)(
            sql`SELECT project_id, CAST(COUNT(*) AS INTEGER) AS count
              FROM ${rowsOf(owner).from("services")}
              WHERE trashed_at IS NULL GROUP BY project_id`
          ),

        /** Those of one project or of all that deploy from some repository. */
        sources: (owner: OwnerId, project: ProjectId | null) => {
          const { from } = rowsOf(owner)
          return Rows.all(ServiceSource)(sql`SELECT services.name, services.project_id,
              projects.name AS project_name, services.repo_host, services.repo_owner, services.repo_name
            FROM ${from("services")} JOIN ${from("projects")} ON projects.id = services.project_id
            WHERE services.trashed_at IS NULL
              ${project === null ? sql`` : sql`AND services.project_id = ${project}`}
            ORDER BY services.name`)
        },

        /** Those of the repository's owner that deploy from `branch` of it. */
        followers: (owner: OwnerId, repository: RepositoryIdentity, branch: BranchName) =>
          Rows.all(ServiceRow)(sql`${select(owner)}
            AND services.repo_host = ${repository.host} AND services.repo_owner = ${repository.owner}
            AND services.repo_name = ${repository.name} AND services.branch = ${branch}
            ORDER BY services.name`),

        /** Those that deploy from any branch of it. */
        ofRepository: (owner: OwnerId, repository: RepositoryIdentity) =>
          Rows.all(ServiceRow)(sql`${select(owner)}
            AND services.repo_host = ${repository.host} AND services.repo_owner = ${repository.owner}
            AND services.repo_name = ${repository.name} ORDER BY services.name`),

        /** Projects with services that deploy from it, those in the trash too. */
        projectsOf: (owner: OwnerId, repository: RepositoryIdentity) =>
          Rows.all(Schema.Struct({ projectId: ProjectId }))(sql`SELECT DISTINCT project_id
            FROM ${rowsOf(owner).from("services")} WHERE repo_host = ${repository.host}
            AND repo_owner = ${repository.owner} AND repo_name = ${repository.name}`),

        all: (whose: Whose) => Rows.all(ServiceRow)(sql`${select(whose)} ORDER BY services.id`),

        /** Service, stage and hostname; run it inside a transaction. */
        add: Effect.fnUntraced(function* (service: NewService) {
          const now = yield* Clock.currentTimeMillis
          const id = ServiceId.make(yield* ids.next("svc"))
          const stage = StageId.make(yield* ids.next("stg"))
          yield* Rows.write(
            sql`INSERT INTO services ${sql.insert({
              id,
              owner_id: service.owner,
              project_id: service.project,
              name: service.name,
              repo_host: service.repository.host,
              repo_owner: service.repository.owner,
              repo_name: service.repository.name,
              branch: service.branch,
              settings: JSON.stringify(service.settings),
              settings_revision: 1,
              build_instance: service.buildInstance,
              deploy_instance: service.deployInstance,
              created_at: now
            })}`
          )
          yield* Rows.write(
            sql`INSERT INTO stages ${sql.insert({
              id: stage,
              owner_id: service.owner,
              service_id: id,
              name: "production",
              generation: 0,
              deployments: 0,
              releases: 0
            })}`
          )
          yield* Rows.write(
            sql`INSERT INTO hostnames ${sql.insert({ label: service.label, owner_id: service.owner, stage_id: stage, created_at: now })}`
          )
          return { id, stage }
        }),

        /**
         * Into the trash: no name, no hostname, no live release, no open deployment. Run it inside a
         * transaction. Returns the deployments that it cancelled.
         */
        trash: Effect.fnUntraced(function* (owner: OwnerId, service: ServiceRow) {
          const now = yield* Clock.currentTimeMillis
          const { remove, update } = rowsOf(owner)
          const trashed = sql`trashed_at = ${now}, trashed_hostname = ${service.label}`
          yield* Rows.write(sql`${update("services", trashed)}
            AND id = ${service.id} AND trashed_at IS NULL`)
          yield* Rows.write(sql`${remove("hostnames")} AND stage_id = ${service.stageId}`)
          yield* Rows.write(sql`${update("releases", sql`state = 'discarded'`)}
            AND stage_id = ${service.stageId} AND state = 'candidate'`)
          yield* Rows.write(sql`${update("releases", sql`state = 'retired'`)}
            AND stage_id = ${service.stageId} AND state = 'live'`)
          const stopped = sql`generation = generation + 1, live_release_id = NULL`
          yield* Rows.write(sql`${update("stages", stopped)} AND id = ${service.stageId}`)
          return yield* Rows.all(Schema.Struct({ id: DeploymentId }))(
            sql`${update("deployments", sql`status = 'cancelled', finished_at = ${now}`)}
              AND stage_id = ${service.stageId} AND status IN ('queued', 'running') RETURNING id`
          )
        }),

        /** With the next revision of its settings; false when another change was first. */
        update: (
          service: ServiceRow,
          next: { readonly settings: ServiceSettings; readonly branch: BranchName }
        ) => {
          const changes = sql`settings = ${JSON.stringify(next.settings)},
            branch = ${next.branch}, settings_revision = settings_revision + 1`
          return Rows.touched(sql`${rowsOf(service.ownerId).update("services", changes)}
            AND id = ${service.id} AND trashed_at IS NULL
            AND settings_revision = ${service.settingsRevision} RETURNING id`)
        },

        variables: (owner: OwnerId, stage: StageId) =>
          Rows.all(VariableRow)(sql`SELECT id, name, sealed, fingerprint, runtime_only
            FROM ${rowsOf(owner).from("variables")}
            WHERE stage_id = ${stage} AND replaced_at IS NULL ORDER BY name`),

        variablesById: (whose: Whose, variables: ReadonlyArray<VariableId>) =>
          variables.length === 0
            ? Effect.succeed([])
            : Rows.all(VariableRow)(sql`SELECT id, name, sealed, fingerprint, runtime_only
                FROM ${rowsOf(whose).from("variables")}
                WHERE ${sql.in("id", variables)} ORDER BY name`),

        /** The versions that releases hold stay. */
        removeVariables: Effect.fnUntraced(function* (
          owner: OwnerId,
          stage: StageId,
          names: ReadonlyArray<string>
        ) {
          if (names.length === 0) return
          const now = yield* Clock.currentTimeMillis
          yield* Rows.write(sql`${rowsOf(owner).update("variables", sql`replaced_at = ${now}`)}
            AND stage_id = ${stage} AND ${sql.in("name", names)} AND replaced_at IS NULL`)
        }),

        /** Adds a version; older ones of the same name stay for the releases that hold them. */
        putVariable: Effect.fnUntraced(function* (variable: {
          readonly owner: OwnerId
          readonly stage: StageId
          readonly name: string
          readonly sealed: string
          readonly fingerprint: string
          readonly runtimeOnly: boolean
        }) {
          const now = yield* Clock.currentTimeMillis
          const { update } = rowsOf(variable.owner)
          yield* Rows.write(sql`${update("variables", sql`replaced_at = ${now}`)}
            AND stage_id = ${variable.stage} AND name = ${variable.name} AND replaced_at IS NULL`)
          yield* Rows.write(
            sql`INSERT INTO variables ${sql.insert({
              id: yield* ids.next("var"),
              owner_id: variable.owner,
              stage_id: variable.stage,
              name: variable.name,
              sealed: variable.sealed,
              fingerprint: variable.fingerprint,
              runtime_only: variable.runtimeOnly ? 1 : 0,
              created_at: now
            })}`
          )
        })
      }
    })
  }
) {
  static readonly layer = Layer.effect(ServiceStore, ServiceStore.make)
}
