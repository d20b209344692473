/** Brings an older release back: its artifact, settings and variables, and no build. */
import { planned } from "@deploy-mcp/domain/commands/Plan"
import type { RollbackService } from "@deploy-mcp/domain/commands/Services"
import { refuse } from "@deploy-mcp/domain/Failure"
import { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import { Effect } from "effect"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { type PastRelease, ReleaseStore } from "../store/ReleaseStore.ts"
import type { ServiceRow } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { Present } from "./Present.ts"
import { ServiceLookup } from "./ServiceLookup.ts"
import { Sources } from "./Sources.ts"

/** The command `Services.rollback`, over the stores that are here. */
export const rollbackService = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const deployments = yield* DeploymentStore
  const releases = yield* ReleaseStore
  const idempotency = yield* IdempotencyStore
  const events = yield* DeploymentEvents
  const lookup = yield* ServiceLookup
  const present = yield* Present
  const sources = yield* Sources

  return Effect.fn("Services.rollback")(function* (input: RollbackService) {
    yield* requireScope("services:deploy")
    const principal = yield* Principal
    const asked = yield* lookup.service(input)
    const head = yield* sources.newest(asked, asked.branch)
    const { subject } = yield* idempotency
      .once(
        {
          owner: principal.owner,
          command: "rollback_service",
          key: input.idempotencyKey,
          request: [asked.id, input.to ?? null],
          current: lookup.current(input)
        },
        Effect.gen(function* () {
          const row = yield* lookup.again(asked)
          const target = yield* choose(
            row,
            yield* releases.everLive(row.ownerId, row.stageId),
            input.to
          )
          yield* planned(
            `deploys ${row.name}#${target.number} (commit ${target.commitSha}) again, with its settings and variables, without a build`
          )
          const { id } = yield* deployments.request({
            owner: row.ownerId,
            service: row.id,
            stage: row.stageId,
            settingsRevision: row.settingsRevision,
            commit: target.commitSha,
            head,
            release: target.id,
            cause: "rollback",
            key: principal.key,
            force: true
          })
          return id
        })
      )
      .pipe(whole)
    yield* events.publish({ kind: "queued", stage: asked.stageId })
    const deployment = yield* deployments.byId(asked.ownerId, DeploymentId.make(subject))
    return yield* present.deployment(deployment, asked)
  })
})

const choose = Effect.fnUntraced(function* (
  { name }: ServiceRow,
  past: ReadonlyArray<PastRelease>,
  to: number | undefined
) {
  const possible = past.filter(({ state }) => state === "retired")
  const chosen = to === undefined ? possible[0] : past.find(({ number }) => number === to)
  if (chosen?.state === "retired") return chosen
  const cause =
    to === undefined
      ? `'${name}' has no earlier release that is still kept.`
      : chosen === undefined
        ? `to: ${name}#${to} never was live${to < (past.at(-1)?.number ?? 0) ? ", or is not known any more" : ""}.`
        : chosen.state === "live"
          ? `to: ${name}#${to} is live already.`
          : `to: the build of ${name}#${to} is not kept any more.`
  return yield* refuse("cannot_roll_back", cause, reachable(name, possible))
})

/** What can be gone back to, for a failure that must name it. */
export const reachable = (name: string, possible: ReadonlyArray<PastRelease>) => ({
  evidence: possible.map(({ number, commitSha }) => `${name}#${number} (commit ${commitSha})`),
  next:
    possible[0] === undefined
      ? "Push the source that you want, or call redeploy_service."
      : `Call rollback_service with to ${possible.map(({ number }) => number).join(" or ")}.`
})
