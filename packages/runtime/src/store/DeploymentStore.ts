/**
 * Deployments and their fence. `running` may become `cancelled`, `superseded`, `failed` or
 * `committed`, each by one conditional update; whoever touches no row has lost and must not act.
 */
import { Failure } from "@deploy-mcp/domain/Failure"
import {
  DeploymentCause,
  DeploymentPhase,
  DeploymentStatus,
  PhaseTime
} from "@deploy-mcp/domain/model/Deployment"
import {
  DeploymentId,
  Ids,
  KeyId,
  OwnerId,
  ReleaseId,
  ServiceId,
  StageId
} from "@deploy-mcp/domain/model/Ids"
import { CommitSha, ServiceName } from "@deploy-mcp/domain/model/Names"
import { Clock, Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { ownedRows, type Whose } from "./Owned.ts"
import * as Rows from "./Rows.ts"

export const DeploymentRow = Schema.Struct({
  id: DeploymentId,
  ownerId: OwnerId,
  serviceId: ServiceId,
  stageId: StageId,
  serviceName: ServiceName,
  projectName: Schema.String,
  number: Schema.Int,
  cause: DeploymentCause,
  commitSha: CommitSha,
  /** The branch's commit that it answers to, when it deploys another one. */
  headSha: Schema.NullOr(CommitSha),
  /** The older release that it brings back, instead of a build. */
  sourceReleaseId: Schema.NullOr(ReleaseId),
  settingsRevision: Schema.Int,
  status: DeploymentStatus,
  releaseId: Schema.NullOr(ReleaseId),
  liveReleaseId: Schema.NullOr(ReleaseId),
  failure: Schema.NullOr(Schema.fromJsonString(Failure)),
  createdAt: Schema.Int,
  finishedAt: Schema.NullOr(Schema.Int)
})
export type DeploymentRow = typeof DeploymentRow.Type

const place = (phase: DeploymentPhase) => DeploymentPhase.literals.indexOf(phase)
const Id = Schema.Struct({ id: DeploymentId })
const Retry = Schema.Struct({ phase: DeploymentPhase, at: Schema.Int, cause: Schema.String })
const cutOff = "The step was cut off before its result was written."
const finishedWithoutResult: ReadonlyArray<DeploymentStatus> = ["failed", "superseded"]

/** The branch's commit at the time; a push event that names it brings nothing new. */
export const answersTo = (row: DeploymentRow): CommitSha => row.headSha ?? row.commitSha

export class DeploymentStore extends Context.Service<DeploymentStore>()(
  "@deploy-mcp/runtime/DeploymentStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      const ids = yield* Ids
      const rowsOf = ownedRows(sql)

      const select = (whose: Whose) => {
        const { from } = rowsOf(whose)
        return sql`SELECT deployments.*, services.name AS service_name, projects.name AS project_name,
            stages.live_release_id
          FROM ${from("deployments")}
          JOIN ${from("services")} ON services.id = deployments.service_id
          JOIN ${from("projects")} ON projects.id = services.project_id
          JOIN ${from("stages")} ON stages.id = deployments.stage_id`
      }

      const newest = (whose: Whose, stage: StageId) =>
        Rows.first(DeploymentRow)(sql`${select(whose)} WHERE deployments.stage_id = ${stage}
          ORDER BY deployments.number DESC LIMIT 1`)

      const byId = (whose: Whose, id: DeploymentId) =>
        Rows.one(DeploymentRow)(sql`${select(whose)} WHERE deployments.id = ${id}`)

      /** Ends it with `status` if it may still end so; true for the one that did it. */
      const end = Effect.fnUntraced(function* (
        whose: Whose,
        id: DeploymentId,
        status: "failed" | "cancelled" | "superseded",
        failure: Failure
      ) {
        const now = yield* Clock.currentTimeMillis
        const ending = sql`status = ${status}, failure = ${JSON.stringify(failure)}, finished_at = ${now}`
        const ended = yield* Rows.touched(sql`${rowsOf(whose).update("deployments", ending)}
          AND id = ${id} AND status IN ('queued', 'running') RETURNING id`)
        if (ended) yield* closePhases(whose, id, now)
        return ended
      })

      const closePhases = (whose: Whose, id: DeploymentId, now: number) =>
        Rows.write(sql`${rowsOf(whose).update("deployment_phases", phaseEnd(now))}
          AND deployment_id = ${id} AND ended_at IS NULL`)

      /** No phase ends before it began, even when the clock was set back meanwhile. */
      const phaseEnd = (now: number) =>
        sql`ended_at = CASE WHEN started_at > ${now} THEN started_at ELSE ${now} END`

      /** Since when it is open; not now when it was entered before. */
      const openPhase = (id: DeploymentId, phase: DeploymentPhase, now: number) =>
        Effect.map(
          Rows.one(Schema.Struct({ startedAt: Schema.Int }))(
            sql`INSERT INTO deployment_phases ${sql.insert({
              deployment_id: id,
              phase,
              started_at: now,
              ended_at: null
            })} ON CONFLICT (deployment_id, phase) DO UPDATE SET ended_at = NULL RETURNING started_at`
          ),
          ({ startedAt }) => startedAt
        )

      /** Notes that something is tried again. */
      const noteRetry = Effect.fnUntraced(function* (
        whose: Whose,
        id: DeploymentId,
        phase: DeploymentPhase,
        cause: string
      ) {
        const now = yield* Clock.currentTimeMillis
        yield* Rows.write(sql`INSERT INTO deployment_retries (deployment_id, owner_id, phase, at, cause)
          SELECT id, owner_id, ${phase}, ${now}, ${cause} FROM ${rowsOf(whose).from("deployments")}
          WHERE id = ${id}`)
      })

      return {
        newest,
        byId,
        end,
        noteRetry,

        /**
         * A queued deployment of `commit`, or the newest one when it already answers to this head of
         * the branch and these settings: events are hints and may come twice, late or out of order.
         * `force` asks for a new one unless such a one is still waiting. Run it inside a transaction.
         */
        request: Effect.fnUntraced(function* (request: {
          readonly owner: OwnerId
          readonly service: ServiceId
          readonly stage: StageId
          readonly settingsRevision: number
          readonly commit: CommitSha
          /** The branch's commit now, when another one is deployed; null: not known, so the last one known. */
          readonly head?: CommitSha | null
          /** The older release to bring back instead of a build. */
          readonly release?: ReleaseId
          readonly cause: DeploymentCause
          /** Who asked for it; absent: a push. */
          readonly key?: KeyId
          readonly force: boolean
        }) {
          const { release = null } = request
          const known = yield* newest(request.owner, request.stage)
          const last = Option.match(known, { onNone: () => null, onSome: answersTo })
          const head = request.head === null ? last : (request.head ?? null)
          if (
            Option.isSome(known) &&
            answersTo(known.value) === (head ?? request.commit) &&
            known.value.settingsRevision === request.settingsRevision &&
            (request.force
              ? known.value.status === "queued" &&
                known.value.commitSha === request.commit &&
                known.value.sourceReleaseId === release
              : !finishedWithoutResult.includes(known.value.status))
          ) {
            return { id: known.value.id, created: false }
          }
          const now = yield* Clock.currentTimeMillis
          const id = DeploymentId.make(yield* ids.next("dep"))
          const { update } = rowsOf(request.owner)
          const { deployments } = yield* Rows.one(Schema.Struct({ deployments: Schema.Int }))(
            sql`${update("stages", sql`deployments = deployments + 1`)}
              AND id = ${request.stage} RETURNING deployments`
          )
          yield* Rows.write(
            sql`INSERT INTO deployments ${sql.insert({
              id,
              owner_id: request.owner,
              service_id: request.service,
              stage_id: request.stage,
              number: deployments,
              cause: request.cause,
              commit_sha: request.commit,
              head_sha: head,
              source_release_id: release,
              settings_revision: request.settingsRevision,
              status: "queued",
              key_id: request.key ?? null,
              created_at: now
            })}`
          )
          yield* openPhase(id, "queued", now)
          return { id, created: true }
        }),

        /** The one whose release is live now. */
        live: (owner: OwnerId, stage: StageId) =>
          Rows.first(DeploymentRow)(sql`${select(owner)} WHERE deployments.stage_id = ${stage}
            AND deployments.release_id = stages.live_release_id`),

        /** The newest deployment of each of these stages that has one. */
        newestOf: (owner: OwnerId, stages: ReadonlyArray<StageId>) =>
          stages.length === 0
            ? Effect.succeed([])
            : Rows.all(
                DeploymentRow
              )(sql`${select(owner)} WHERE ${sql.in("deployments.stage_id", stages)}
                AND deployments.number = stages.deployments`),

        byNumber: (owner: OwnerId, stage: StageId, number: number) =>
          Rows.first(DeploymentRow)(sql`${select(owner)} WHERE deployments.stage_id = ${stage}
            AND deployments.number = ${number}`),

        list: (owner: OwnerId, stage: StageId, limit: number, before: number | null) =>
          Rows.all(DeploymentRow)(sql`${select(owner)} WHERE deployments.stage_id = ${stage}
            AND deployments.number < ${before ?? Number.MAX_SAFE_INTEGER}
            ORDER BY deployments.number DESC LIMIT ${limit}`),

        /** Of each deployment in the order in which it goes through them. */
        phases: (whose: Whose, deployments: ReadonlyArray<DeploymentId>) =>
          deployments.length === 0
            ? Effect.succeed([])
            : Effect.map(
                Rows.all(Schema.Struct({ ...PhaseTime.fields, deploymentId: DeploymentId }))(
                  sql`SELECT deployment_id, phase, started_at, ended_at
                    FROM ${rowsOf(whose).from("deployment_phases")}
                    WHERE ${sql.in("deployment_id", deployments)}`
                ),
                (rows) => rows.toSorted((one, other) => place(one.phase) - place(other.phase))
              ),

        /** What was tried again, the oldest first. */
        retries: (owner: OwnerId, deployment: DeploymentId) =>
          Rows.all(Retry)(sql`SELECT phase, at, cause
            FROM ${rowsOf(owner).from("deployment_retries")} WHERE deployment_id = ${deployment} ORDER BY at`),

        /** How many have not ended, by status. */
        open: (whose: Whose) =>
          Effect.map(
            Rows.all(Schema.Struct({ status: Schema.String, count: Schema.Int }))(
              sql`SELECT status, CAST(COUNT(*) AS INTEGER) AS count
                FROM ${rowsOf(whose).from("deployments")}
                WHERE status IN ('queued', 'running') GROUP BY status`
            ),
            (rows) => new Map(rows.map((row) => [row.status, row.count]))
          ),

        /** An owner's that have not ended, with the keys that asked for them. */
        openOf: (owner: OwnerId) =>
          Rows.all(Schema.Struct({ stageId: StageId, keyId: Schema.NullOr(KeyId) }))(
            sql`SELECT stage_id, key_id FROM ${rowsOf(owner).from("deployments")}
              WHERE status IN ('queued', 'running')`
          ),

        /** Those of them that have ended. */
        ended: (whose: Whose, among: ReadonlyArray<string>) =>
          Effect.map(
            Rows.all(Id)(
              sql`SELECT id FROM ${rowsOf(whose).from("deployments")}
                WHERE ${sql.in("id", among)} AND status NOT IN ('queued', 'running')`
            ),
            (rows) => rows.map(({ id }) => id)
          ),

        /** The stages that have work to decide on. */
        openStages: (whose: Whose) =>
          Effect.map(
            Rows.all(Schema.Struct({ stageId: StageId }))(
              sql`SELECT DISTINCT stage_id FROM ${rowsOf(whose).from("deployments")}
                WHERE status IN ('queued', 'running')`
            ),
            (rows) => rows.map((row) => row.stageId)
          ),

        /**
         * Which deployment of a stage runs: the newest queued one. Older queued ones and a running
         * one that has not committed end `superseded`. Run it inside a transaction.
         */
        decide: Effect.fnUntraced(function* (whose: Whose, stage: StageId) {
          const now = yield* Clock.currentTimeMillis
          const { from, update } = rowsOf(whose)
          const open = yield* Rows.all(
            Schema.Struct({ ...Id.fields, status: DeploymentStatus, number: Schema.Int })
          )(sql`SELECT id, status, number FROM ${from("deployments")}
            WHERE stage_id = ${stage} AND status IN ('queued', 'running') ORDER BY number DESC`)
          const [chosen, ...older] = open
          if (chosen === undefined) return { start: null, superseded: [] }
          for (const { id } of older) {
            yield* end(
              whose,
              id,
              "superseded",
              Failure.of("superseded", `Deployment #${chosen.number} is newer and took over.`)
            )
          }
          if (chosen.status === "queued") {
            yield* Rows.write(
              sql`${update("deployments", sql`status = 'running'`)} AND id = ${chosen.id}`
            )
            yield* closePhases(whose, chosen.id, now)
          }
          const superseded = older.filter((row) => row.status === "running").map((row) => row.id)
          return { start: chosen.id, superseded }
        }),

        /** Enters a phase; false when the deployment may not go on. */
        enter: Effect.fnUntraced(function* (
          whose: Whose,
          id: DeploymentId,
          phase: DeploymentPhase
        ) {
          const now = yield* Clock.currentTimeMillis
          const { update } = rowsOf(whose)
          return yield* sql
            .withTransaction(
              Effect.gen(function* () {
                const running = yield* Rows.touched(
                  sql`${update("deployments", sql`status = 'running'`)}
                    AND id = ${id} AND status = 'running' RETURNING id`
                )
                if (!running) return false
                yield* Rows.write(sql`${update("deployment_phases", phaseEnd(now))}
                  AND deployment_id = ${id} AND ended_at IS NULL AND phase <> ${phase}`)
                if ((yield* openPhase(id, phase, now)) !== now)
                  yield* noteRetry(whose, id, phase, cutOff)
                return true
              })
            )
            .pipe(Effect.orDie)
        }),

        /** Claims an artifact key, so that collection leaves it alone while this deployment runs. */
        claimArtifact: (whose: Whose, id: DeploymentId, key: string) =>
          Rows.touched(sql`${rowsOf(whose).update("deployments", sql`artifact_key = ${key}`)}
            AND id = ${id} AND status = 'running' RETURNING id`),

        /** Notes the end of a committed deployment, once the node serves it. */
        settle: Effect.fnUntraced(function* (whose: Whose, id: DeploymentId) {
          const now = yield* Clock.currentTimeMillis
          yield* closePhases(whose, id, now)
          yield* Rows.write(sql`${rowsOf(whose).update("deployments", sql`finished_at = ${now}`)}
            AND id = ${id} AND status = 'committed' AND finished_at IS NULL`)
        })
      }
    })
  }
) {
  static readonly layer = Layer.effect(DeploymentStore, DeploymentStore.make)
}
