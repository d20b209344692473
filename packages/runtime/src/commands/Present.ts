/** Rows as callers see them: names, enums, URLs and the next step. */

import type { DeploymentView, ScheduleView, ServiceView } from "@deploy-mcp/domain/commands/Views"
import { catalogue, Failure } from "@deploy-mcp/domain/Failure"
import type { DeploymentPhase, PhaseTime } from "@deploy-mcp/domain/model/Deployment"
import type { OwnerId } from "@deploy-mcp/domain/model/Ids"
import { repositoryPath } from "@deploy-mcp/domain/model/Service"
import type { ReleaseObserved } from "@deploy-mcp/domain/node/NodeProtocol"
import { Context, Effect, Layer, Option } from "effect"
import { Platform, tryOf, urlOf } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import { type DeploymentRow, DeploymentStore } from "../store/DeploymentStore.ts"
import { repositoryOf, type ServiceRow, ServiceStore } from "../store/ServiceStore.ts"
import { kindOf } from "./Kind.ts"

export const iso = (at: number): string => new Date(at).toISOString()

export class Present extends Context.Service<
  Present,
  {
    readonly service: (row: ServiceRow) => Effect.Effect<ServiceView>
    readonly services: (
      owner: OwnerId,
      rows: ReadonlyArray<ServiceRow>
    ) => Effect.Effect<ReadonlyArray<ServiceView>>
    /** Of this service, as it was when somebody looked for it. */
    readonly deployment: (row: DeploymentRow, of: ServiceRow) => Effect.Effect<DeploymentView>
    readonly deployments: (
      rows: ReadonlyArray<DeploymentRow>,
      of: ServiceRow
    ) => Effect.Effect<ReadonlyArray<DeploymentView>>
    /** Null: it is on none. */
    readonly schedule: (row: ServiceRow) => Effect.Effect<ScheduleView | null>
  }
>()("@deploy-mcp/runtime/Present") {
  static readonly layer = Layer.effect(
    Present,
    Effect.gen(function* () {
      const platform = yield* Platform
      const publisher = yield* Publisher
      const store = yield* DeploymentStore
      const serviceStore = yield* ServiceStore

      const linksOf = (row: ServiceRow): Links =>
        kindOf(row).hasUrl
          ? { url: urlOf(platform, row.label), try: tryOf(platform, row.label) }
          : noLinks

      const deployments = Effect.fnUntraced(function* (
        owner: OwnerId,
        rows: ReadonlyArray<DeploymentRow>,
        links: (row: DeploymentRow) => Links
      ) {
        const times = Map.groupBy(
          yield* store.phases(
            owner,
            rows.map((row) => row.id)
          ),
          ({ deploymentId }) => deploymentId
        )
        return rows.map((row) => deploymentView(row, times.get(row.id) ?? [], links(row)))
      })

      const services = Effect.fnUntraced(function* (
        owner: OwnerId,
        rows: ReadonlyArray<ServiceRow>
      ) {
        const stages = rows.map((row) => row.stageId)
        const newest = yield* store.newestOf(owner, stages)
        const links = new Map(rows.map((row) => [row.stageId, linksOf(row)]))
        const views = yield* deployments(owner, newest, (row) => links.get(row.stageId) ?? noLinks)
        const byStage = new Map(newest.map((row, index) => [row.stageId, views[index]]))
        return yield* Effect.forEach(rows, (row) =>
          Effect.map(
            row.liveReleaseId === null ? Effect.undefined : publisher.release(row.liveReleaseId),
            (observed) => serviceView(row, byStage.get(row.stageId) ?? null, observed, linksOf(row))
          )
        )
      })

      /** What it is may be known only since the deployment went live. */
      const ofService = Effect.fnUntraced(function* (
        rows: ReadonlyArray<DeploymentRow>,
        of: ServiceRow
      ) {
        const now = yield* serviceStore.byStage(of.ownerId, of.stageId)
        const links = linksOf(Option.getOrElse(now, () => of))
        return yield* deployments(of.ownerId, rows, () => links)
      })

      const schedule = Effect.fnUntraced(function* (row: ServiceRow) {
        const cron = kindOf(row).schedule
        if (cron === null) return null
        const observed =
          row.liveReleaseId === null ? undefined : yield* publisher.release(row.liveReleaseId)
        return scheduleView(cron, observed?.schedule)
      })

      return {
        service: (row) => Effect.flatMap(services(row.ownerId, [row]), only),
        services,
        deployment: (row, of) => Effect.flatMap(ofService([row], of), only),
        deployments: ofService,
        schedule
      }
    })
  )
}

/** One row gives one view. */
const only = <A>([view]: ReadonlyArray<A>): Effect.Effect<A> =>
  view === undefined ? Effect.die(new Error("a row without its view")) : Effect.succeed(view)

type Links = Pick<ServiceView, "url" | "try">

const noLinks: Links = { url: null, try: null }

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
      return links.url === null
        ? "It is live, and has no URL: get_logs shows what it prints, get_service how it does."
        : `It is live at ${links.url}.`
    case "replaced":
      return "A newer deployment is live; see get_service."
    default:
      return row.failure?.next ?? Failure.of("cancelled", "").next
  }
}

const scheduleView = (cron: string, observed: ReleaseObserved["schedule"]): ScheduleView => {
  const last = observed?.last ?? null
  const next = observed?.next ?? null
  return {
    cron,
    next_run: next === null ? null : iso(next),
    last_run:
      last === null
        ? null
        : {
            number: last.number,
            outcome: last.ended?.outcome ?? "running",
            exit_code: last.ended?.code ?? null,
            started_at: iso(last.startedAt),
            ms: last.ended?.ms ?? null
          }
  }
}

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
      ? observed.failure.code === "paused"
        ? "paused"
        : "crashed"
      : live
        ? "live"
        : latest === null
          ? "awaiting_push"
          : "failed"
  const { mode, type } = kindOf(row)
  return {
    name: row.name,
    project: row.projectName,
    status,
    type,
    mode,
    ...links,
    repo: repositoryPath(repositoryOf(row)),
    branch: row.branch,
    live_commit: row.liveCommit,
    latest_deployment: latest,
    next: nextOfService(status, row, latest, observed, links)
  }
}

const nextOfService = (
  status: ServiceView["status"],
  row: ServiceRow,
  latest: DeploymentView | null,
  observed: ReleaseObserved | undefined,
  links: Links
): string => {
  const where = links.url === null ? ", without a URL" : ` at ${links.url}`
  switch (status) {
    case "awaiting_push":
      return `Nothing is deployed yet. Make sure the repository exists (create_repo), get a push URL with get_git_token and git push to its branch '${row.branch}'.`
    case "deploying":
      return `Call wait_for_deployment with name ${row.name}.`
    case "crashed":
    case "paused":
      return crashed(observed?.failure ?? null)
    case "failed":
      return latest?.next ?? "Push again or call redeploy_service."
    case "live":
      return latest !== null && latest.status !== "live"
        ? `Live${where}, but ${latest.deployment} ended ${latest.status}: ${latest.next}`
        : `Live${where}${observed?.asleep ? ", asleep until the next request" : ""}.${doing(observed, links)} Push to '${row.branch}' to deploy a change.`
  }
}

/** Of what nobody can ask. */
const doing = (observed: ReleaseObserved | undefined, { url }: Links): string => {
  if (url !== null) return ""
  const { last, next } = observed?.schedule ?? {}
  const due = typeof next === "number" ? ` The next run is due at ${iso(next)}.` : ""
  const { outcome } = last?.ended ?? {}
  const failed =
    last && (outcome === "failed" || outcome === "timed_out")
      ? ` Run ${last.number} ${outcome === "failed" ? "failed" : "took too long"}.`
      : ""
  return `${failed}${due} get_logs shows what it prints.`
}

const crashed = (failure: ReleaseObserved["failure"]): string =>
  failure?.code === "crash_loop" || failure?.code === "paused"
    ? `${failure.code}: ${failure.cause} ${catalogue[failure.code].next}`
    : `${failure?.cause ?? "The process ended."} It is started again; read get_logs.`
