/** Rows as callers see them: names, enums, URLs and the next step. */

import type { DeploymentView, ServiceView } from "@deploy-mcp/domain/commands/Views"
import { catalogue, Failure } from "@deploy-mcp/domain/Failure"
import { Artifact, type Runtime } from "@deploy-mcp/domain/model/Artifact"
import type { DeploymentPhase, PhaseTime } from "@deploy-mcp/domain/model/Deployment"
import { defaultMode, type RunMode, repositoryPath } from "@deploy-mcp/domain/model/Service"
import type { ReleaseObserved } from "@deploy-mcp/domain/node/NodeProtocol"
import { Context, Effect, Layer, Schema } from "effect"
import { Platform, tryOf, urlOf } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import { type DeploymentRow, DeploymentStore } from "../store/DeploymentStore.ts"
import { repositoryOf, type ServiceRow } from "../store/ServiceStore.ts"

export const iso = (at: number): string => new Date(at).toISOString()

export class Present extends Context.Service<
  Present,
  {
    readonly service: (row: ServiceRow) => Effect.Effect<ServiceView>
    readonly services: (
      rows: ReadonlyArray<ServiceRow>
    ) => Effect.Effect<ReadonlyArray<ServiceView>>
    readonly deployment: (row: DeploymentRow, label: string) => Effect.Effect<DeploymentView>
    readonly deployments: (
      rows: ReadonlyArray<DeploymentRow>,
      label: string
    ) => Effect.Effect<ReadonlyArray<DeploymentView>>
  }
>()("@deploy-mcp/runtime/Present") {
  static readonly layer = Layer.effect(
    Present,
    Effect.gen(function* () {
      const platform = yield* Platform
      const publisher = yield* Publisher
      const store = yield* DeploymentStore

      const deployments = Effect.fnUntraced(function* (
        rows: ReadonlyArray<DeploymentRow>,
        label: (row: DeploymentRow) => string
      ) {
        const times = Map.groupBy(
          yield* store.phases(rows.map((row) => row.id)),
          ({ deploymentId }) => deploymentId
        )
        return rows.map((row) =>
          deploymentView(row, times.get(row.id) ?? [], {
            url: urlOf(platform, label(row)),
            try: tryOf(platform, label(row))
          })
        )
      })

      const services = Effect.fnUntraced(function* (rows: ReadonlyArray<ServiceRow>) {
        const newest = yield* store.newestOf(rows.map((row) => row.stageId))
        const labels = new Map(rows.map((row) => [row.stageId, row.label]))
        const views = yield* deployments(newest, (row) => labels.get(row.stageId) ?? "")
        const byStage = new Map(newest.map((row, index) => [row.stageId, views[index]]))
        return yield* Effect.forEach(rows, (row) =>
          Effect.map(
            row.liveReleaseId === null ? Effect.undefined : publisher.release(row.liveReleaseId),
            (observed) =>
              serviceView(row, byStage.get(row.stageId) ?? null, observed, {
                url: urlOf(platform, row.label),
                try: tryOf(platform, row.label)
              })
          )
        )
      })

      return {
        service: (row) => Effect.flatMap(services([row]), only),
        services,
        deployment: (row, label) =>
          Effect.flatMap(
            deployments([row], () => label),
            only
          ),
        deployments: (rows, label) => deployments(rows, () => label)
      }
    })
  )
}

/** One row gives one view. */
const only = <A>([view]: ReadonlyArray<A>): Effect.Effect<A> =>
  view === undefined ? Effect.die(new Error("a row without its view")) : Effect.succeed(view)

interface Links {
  readonly url: string
  readonly try: string
}

const deploymentView = (
  row: DeploymentRow,
  times: ReadonlyArray<PhaseTime>,
  links: Links
): DeploymentView => {
  const status =
    row.status === "committed"
      ? row.releaseId === row.liveReleaseId
        ? "live"
        : "replaced"
      : row.status
  const name = `${row.serviceName}#${row.number}`
  const phase: DeploymentPhase = times.at(-1)?.phase ?? "queued"
  return {
    deployment: name,
    service: row.serviceName,
    project: row.projectName,
    number: row.number,
    status,
    phase,
    cause: row.cause,
    commit: row.commitSha,
    created_at: iso(row.createdAt),
    finished_at: row.finishedAt === null ? null : iso(row.finishedAt),
    phases: times.flatMap((time) =>
      time.endedAt === null ? [] : [{ phase: time.phase, ms: time.endedAt - time.startedAt }]
    ),
    ...links,
    failure: row.failure,
    next: nextOfDeployment(status, row, links)
  }
}

const nextOfDeployment = (
  status: DeploymentView["status"],
  row: DeploymentRow,
  links: Links
): string => {
  switch (status) {
    case "queued":
    case "running":
      return `Call wait_for_deployment with name ${row.serviceName}.`
    case "live":
      return `It is live at ${links.url}.`
    case "replaced":
      return "A newer deployment is live; see get_service."
    default:
      return row.failure?.next ?? Failure.of("cancelled", "").next
  }
}

const decodeArtifact = Schema.decodeUnknownSync(Schema.fromJsonString(Artifact))

const serviceView = (
  row: ServiceRow,
  latest: DeploymentView | null,
  observed: ReleaseObserved | undefined,
  links: Links
): ServiceView => {
  const open = latest?.status === "queued" || latest?.status === "running"
  const live = row.liveReleaseId !== null
  const crashed = live && observed?.failure !== null && observed?.failure !== undefined
  const status = open
    ? "deploying"
    : crashed
      ? "crashed"
      : live
        ? "live"
        : latest === null
          ? "awaiting_push"
          : "failed"
  const runtime = row.liveArtifact === null ? null : decodeArtifact(row.liveArtifact).runtime
  const isStatic = row.settings.build_pack === "static" || runtime?.kind === "static"
  const mode = isStatic ? "static" : modeOf(row, runtime)
  return {
    name: row.name,
    project: row.projectName,
    status,
    type: isStatic ? "webapp_static" : "webapp",
    mode,
    ...links,
    repo: repositoryPath(repositoryOf(row)),
    branch: row.branch,
    live_commit: row.liveCommit,
    latest_deployment: latest,
    next: nextOfService(status, row, latest, observed, links)
  }
}

/** What it does now, which may be less than what was asked for. */
const modeOf = ({ settings }: ServiceRow, runtime: Runtime | null): RunMode =>
  hasWorkers(runtime) ? "persistent" : (settings.mode ?? defaultMode)

const hasWorkers = (runtime: Runtime | null): boolean =>
  runtime !== null && runtime.kind !== "static" && Object.keys(runtime.workers ?? {}).length > 0

const nextOfService = (
  status: ServiceView["status"],
  row: ServiceRow,
  latest: DeploymentView | null,
  observed: ReleaseObserved | undefined,
  links: Links
): string => {
  switch (status) {
    case "awaiting_push":
      return `Nothing is deployed yet. Make sure the repository exists (create_repo), get a push URL with get_git_token and git push to its branch '${row.branch}'.`
    case "deploying":
      return `Call wait_for_deployment with name ${row.name}.`
    case "crashed":
      return crashed(observed?.failure ?? null)
    case "failed":
      return latest?.next ?? "Push again or call redeploy_service."
    case "live":
      return latest !== null && latest.status !== "live"
        ? `Live at ${links.url}, but ${latest.deployment} ended ${latest.status}: ${latest.next}`
        : `Live at ${links.url}${observed?.asleep ? ", asleep until the next request" : ""}. Push to '${row.branch}' to deploy a change.`
  }
}

const crashed = (failure: ReleaseObserved["failure"]): string =>
  failure?.code === "crash_loop"
    ? `crash_loop: ${failure.cause} ${catalogue.crash_loop.next}`
    : `${failure?.cause ?? "The process ended."} It is started again; read get_logs.`
