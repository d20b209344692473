/**
 * Releases, and what each stage should look like on its node. A release is `candidate` until its
 * deployment commits, then `live`, then `retired`; `discarded` never went live; `collected` has lost
 * its artifact. Each change of a stage raises its generation.
 */
import { Artifact, ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import {
  DeploymentId,
  Ids,
  OwnerId,
  ReleaseId,
  StageId,
  VariableId
} from "@deploy-mcp/domain/model/Ids"
import { CommitSha } from "@deploy-mcp/domain/model/Names"
import { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { EndpointWorkload } from "@deploy-mcp/domain/node/NodeProtocol"
import { Clock, Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { DeploymentRow } from "./DeploymentStore.ts"
import { ownedRows, type Whose } from "./Owned.ts"
import * as Rows from "./Rows.ts"

export const ReleaseRow = Schema.Struct({
  id: ReleaseId,
  stageId: StageId,
  number: Schema.Int,
  artifact: Schema.fromJsonString(Artifact),
  settings: Schema.fromJsonString(ServiceSettings),
  variables: Schema.fromJsonString(Schema.Array(VariableId)),
  state: Schema.Literals(["candidate", "live", "retired", "discarded", "collected"]),
  /** Where it was last reached, for an ingress; null: its node leads visitors to it. */
  endpoint: Schema.NullOr(Schema.fromJsonString(EndpointWorkload))
})
export type ReleaseRow = typeof ReleaseRow.Type

/** A release to go back to, unless it is `live` or its artifact has been `collected`. */
export const PastRelease = Schema.Struct({
  id: ReleaseId,
  state: ReleaseRow.fields.state,
  number: Schema.Int,
  commitSha: CommitSha
})
export type PastRelease = typeof PastRelease.Type

/** One stage as its node should see it. */
export const StageRow = Schema.Struct({
  id: StageId,
  ownerId: OwnerId,
  tenant: Schema.Int,
  name: Schema.String,
  generation: Schema.Int,
  liveReleaseId: Schema.NullOr(ReleaseId),
  buildInstance: Schema.String,
  deployInstance: Schema.String,
  trashedAt: Schema.NullOr(Schema.Int)
})

export class ReleaseStore extends Context.Service<ReleaseStore>()(
  "@deploy-mcp/runtime/ReleaseStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      const ids = yield* Ids

      const rowsOf = ownedRows(sql)
      const raised = sql`generation = generation + 1`

      const selectStages = (whose: Whose) => {
        const { from } = rowsOf(whose)
        return sql`SELECT stages.id, stages.owner_id, owners.tenant, services.name,
            stages.generation, stages.live_release_id, services.build_instance,
            services.deploy_instance, services.trashed_at
          FROM ${from("stages")} JOIN ${from("services")} ON services.id = stages.service_id
            JOIN owners ON owners.id = stages.owner_id`
      }

      return {
        /**
         * The candidate release of a deployment; the same one when it was recorded before. Null when
         * the deployment has ended, so that nothing appears after a cancel has looked.
         */
        record: Effect.fnUntraced(function* (
          deployment: DeploymentRow,
          artifact: Artifact,
          settings: ServiceSettings,
          variables: ReadonlyArray<VariableId>
        ) {
          const now = yield* Clock.currentTimeMillis
          const fresh = ReleaseId.make(yield* ids.next("rel"))
          const { from, update } = rowsOf(deployment.ownerId)
          return yield* sql
            .withTransaction(
              Effect.gen(function* () {
                const known = yield* Rows.first(Schema.Struct({ id: ReleaseId }))(
                  sql`SELECT id FROM ${from("releases")} WHERE deployment_id = ${deployment.id}`
                )
                if (Option.isSome(known)) return known.value.id
                const running = yield* Rows.touched(
                  sql`SELECT id FROM ${from("deployments")}
                    WHERE id = ${deployment.id} AND status = 'running'`
                )
                if (!running) return null
                const { releases } = yield* Rows.one(Schema.Struct({ releases: Schema.Int }))(
                  sql`${update("stages", sql`releases = releases + 1, generation = generation + 1`)}
                    AND id = ${deployment.stageId} RETURNING releases`
                )
                yield* Rows.write(
                  sql`INSERT INTO releases ${sql.insert({
                    id: fresh,
                    owner_id: deployment.ownerId,
                    stage_id: deployment.stageId,
                    deployment_id: deployment.id,
                    number: releases,
                    artifact_key: artifact.key,
                    artifact: JSON.stringify(artifact),
                    artifact_bytes: artifact.bytes,
                    settings: JSON.stringify(settings),
                    variables: JSON.stringify(variables),
                    state: "candidate",
                    created_at: now
                  })}`
                )
                yield* Rows.write(
                  sql`${update("deployments", sql`release_id = ${fresh}`)} AND id = ${deployment.id}`
                )
                return fresh
              })
            )
            .pipe(Effect.orDie)
        }),

        /**
         * The commit point: deployment, release and route change in one transaction, or not at all.
         * False when the deployment was cancelled or superseded before; true again when repeated.
         */
        moveRoute: Effect.fnUntraced(function* (
          whose: Whose,
          deployment: DeploymentId,
          stage: StageId,
          release: ReleaseId
        ) {
          const { update } = rowsOf(whose)
          return yield* sql
            .withTransaction(
              Effect.gen(function* () {
                const committed =
                  yield* Rows.touched(sql`${update("deployments", sql`status = 'committed'`)}
                  AND id = ${deployment} AND status IN ('running', 'committed') RETURNING id`)
                if (!committed) return false
                const moved = yield* Rows.touched(sql`${update("releases", sql`state = 'live'`)}
                  AND id = ${release} AND state = 'candidate' RETURNING id`)
                if (!moved) return true
                yield* Rows.write(sql`${update("releases", sql`state = 'retired'`)}
                  AND stage_id = ${stage} AND state = 'live' AND id <> ${release}`)
                const led = sql`live_release_id = ${release}, generation = generation + 1`
                yield* Rows.write(sql`${update("stages", led)} AND id = ${stage}`)
                return true
              })
            )
            .pipe(Effect.orDie)
        }),

        /** Where a release is reached now; true when visitors are led there and so must follow. */
        reach: Effect.fnUntraced(function* (
          whose: Whose,
          release: ReleaseId,
          endpoint: EndpointWorkload
        ) {
          const now = JSON.stringify(endpoint)
          const { update } = rowsOf(whose)
          return yield* sql
            .withTransaction(
              Effect.gen(function* () {
                const moved = yield* Rows.touched(sql`${update("releases", sql`endpoint = ${now}`)}
                  AND id = ${release} AND (endpoint IS NULL OR endpoint <> ${now}) RETURNING id`)
                return (
                  moved &&
                  (yield* Rows.touched(sql`${update("stages", raised)}
                    AND live_release_id = ${release} RETURNING id`))
                )
              })
            )
            .pipe(Effect.orDie)
        }),

        /**
         * Takes a deployment's candidate back; does nothing once the deployment has committed. The
         * stage, when there was one to take back.
         */
        discard: Effect.fnUntraced(function* (whose: Whose, deployment: DeploymentId) {
          const { update } = rowsOf(whose)
          return yield* sql
            .withTransaction(
              Effect.gen(function* () {
                const discarded = yield* Rows.first(Schema.Struct({ stageId: StageId }))(
                  sql`${update("releases", sql`state = 'discarded'`)}
                    AND deployment_id = ${deployment} AND state = 'candidate' RETURNING stage_id`
                )
                if (Option.isNone(discarded)) return null
                const { stageId } = discarded.value
                yield* Rows.write(sql`${update("stages", raised)} AND id = ${stageId}`)
                return stageId
              })
            )
            .pipe(Effect.orDie)
        }),

        /** Candidates whose deployment has ended: what a crash left behind. */
        orphans: (whose: Whose) => {
          const { from } = rowsOf(whose)
          return Rows.all(Schema.Struct({ deploymentId: DeploymentId }))(
            sql`SELECT releases.deployment_id FROM ${from("releases")}
              JOIN ${from("deployments")} ON deployments.id = releases.deployment_id
              WHERE releases.state = 'candidate' AND deployments.status NOT IN ('queued', 'running')`
          )
        },

        stage: (whose: Whose, stage: StageId) =>
          Rows.one(StageRow)(sql`${selectStages(whose)} WHERE stages.id = ${stage}`),

        /** Every stage that is not in the trash. */
        stages: (whose: Whose) =>
          Rows.all(StageRow)(sql`${selectStages(whose)} WHERE services.trashed_at IS NULL`),

        labels: (whose: Whose, stage: StageId) =>
          Effect.map(
            Rows.all(Schema.Struct({ label: Schema.String }))(
              sql`SELECT label FROM ${rowsOf(whose).from("hostnames")} WHERE stage_id = ${stage} ORDER BY created_at`
            ),
            (rows) => rows.map((row) => row.label)
          ),

        /** What should run: the live release and a candidate. */
        wanted: (whose: Whose, stage: StageId) =>
          Rows.all(ReleaseRow)(sql`SELECT * FROM ${rowsOf(whose).from("releases")}
            WHERE stage_id = ${stage} AND state IN ('candidate', 'live') ORDER BY number`),

        release: (whose: Whose, id: ReleaseId) =>
          Rows.one(ReleaseRow)(
            sql`SELECT * FROM ${rowsOf(whose).from("releases")} WHERE id = ${id}`
          ),

        /** Every release that ever was live, with the deployment that made it so, newest first. */
        everLive: (owner: OwnerId, stage: StageId) => {
          const { from } = rowsOf(owner)
          return Rows.all(PastRelease)(sql`SELECT releases.id, releases.state, deployments.number,
              deployments.commit_sha
            FROM ${from("releases")}
              JOIN ${from("deployments")} ON deployments.id = releases.deployment_id
            WHERE releases.stage_id = ${stage} AND releases.state IN ('live', 'retired', 'collected')
            ORDER BY releases.number DESC`)
        },

        /**
         * All but the newest `keep` retired releases of a stage, its deployments that built something and
         * came to nothing, and those of their artifacts that nothing else needs. What the deployment
         * `spared` built is left, if it is given.
         */
        collectable: Effect.fnUntraced(function* (
          whose: Whose,
          stage: StageId,
          keep: number,
          spared: DeploymentId | null
        ) {
          const { from } = rowsOf(whose)
          const old = yield* Rows.all(Schema.Struct({ id: ReleaseId, artifactKey: ArtifactKey }))(
            sql`SELECT id, artifact_key FROM ${from("releases")}
              WHERE stage_id = ${stage} AND state IN ('retired', 'discarded')
                AND deployment_id <> ${spared ?? ""} AND id NOT IN (
                SELECT id FROM ${from("releases")} WHERE stage_id = ${stage} AND state = 'retired'
                ORDER BY number DESC LIMIT ${keep})`
          )
          const failed = yield* Rows.all(
            Schema.Struct({ id: DeploymentId, artifactKey: ArtifactKey })
          )(sql`SELECT id, artifact_key FROM ${from("deployments")} WHERE stage_id = ${stage}
            AND artifact_key IS NOT NULL AND id <> ${spared ?? ""}
            AND status IN ('failed', 'cancelled', 'superseded')`)
          const collected = old.map((release) => release.id)
          const unused = new Set<ArtifactKey>()
          for (const { artifactKey } of [...old, ...failed]) {
            const used = yield* Rows.touched(sql`SELECT id FROM ${from("releases")}
              WHERE artifact_key = ${artifactKey} AND state IN ('candidate', 'live', 'retired')
                AND NOT ${sql.in("id", collected)}
              UNION ALL SELECT id FROM ${from("deployments")}
              WHERE artifact_key = ${artifactKey}
                AND (status = 'running' OR id = ${spared ?? ""}) LIMIT 1`)
            if (!used) unused.add(artifactKey)
          }
          return { collected, abandoned: failed.map(({ id }) => id), unused: [...unused] }
        }),

        /** What they built is gone, or belongs to others. */
        forgetArtifacts: (whose: Whose, deployments: ReadonlyArray<DeploymentId>) =>
          deployments.length === 0
            ? Effect.void
            : Rows.write(
                sql`${rowsOf(whose).update("deployments", sql`artifact_key = NULL`)}
                  AND ${sql.in("id", deployments)}`
              ),

        /** Their artifacts are gone: they can't be gone back to. */
        markCollected: (whose: Whose, releases: ReadonlyArray<ReleaseId>) =>
          releases.length === 0
            ? Effect.void
            : Rows.write(
                sql`${rowsOf(whose).update("releases", sql`state = 'collected'`)}
                  AND ${sql.in("id", releases)}`
              ),

        /**
         * A new epoch for a node; rises with each start of control. It is never below the time in
         * seconds, so that a database from a backup is still newer than the control before it.
         */
        openEpoch: Effect.fnUntraced(function* (node: string) {
          const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
          const { epoch } = yield* Rows.one(Schema.Struct({ epoch: Schema.Int }))(
            sql`INSERT INTO nodes (id, epoch) VALUES (${node}, ${now})
              ON CONFLICT (id) DO UPDATE SET epoch =
                CASE WHEN nodes.epoch >= ${now} THEN nodes.epoch + 1 ELSE ${now} END
              RETURNING epoch`
          )
          return epoch
        })
      }
    })
  }
) {
  static readonly layer = Layer.effect(ReleaseStore, ReleaseStore.make)
}
