/** Out of the trash: the service with its name, its hostname if that is still free, and its last live release. */
import { planned } from "@deploy-mcp/domain/commands/Plan"
import type { RestoreService } from "@deploy-mcp/domain/commands/Services"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Ids, type KeyId } from "@deploy-mcp/domain/model/Ids"
import { reservedHostLabels } from "@deploy-mcp/domain/model/Names"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import { Clock, Effect, Option } from "effect"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { Platform } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import { CommonStore } from "../store/CommonStore.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { type ServiceRow, ServiceStore } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { type TrashedRow, TrashStore } from "../store/TrashStore.ts"
import { Present } from "./Present.ts"
import { ServiceLookup } from "./ServiceLookup.ts"
import { Sources } from "./Sources.ts"

/** The command `Services.restore`, over the stores that are here. */
export const restoreService = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const platform = yield* Platform
  const common = yield* CommonStore
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const releases = yield* ReleaseStore
  const trash = yield* TrashStore
  const idempotency = yield* IdempotencyStore
  const events = yield* DeploymentEvents
  const publisher = yield* Publisher
  const lookup = yield* ServiceLookup
  const present = yield* Present
  const sources = yield* Sources
  const ids = yield* Ids

  const freeLabel = Effect.fnUntraced(function* (input: RestoreService, trashed: TrashedRow) {
    const label = input.hostname ?? trashed.trashedHostname
    const [free] = reservedHostLabels.has(label) ? [] : yield* common.freeLabels([label])
    if (free !== undefined) return free
    const other = `${trashed.name}-${(yield* ids.secret(5)).toLowerCase()}`
    return yield* refuse("hostname_taken", `The hostname '${label}' is not free any more.`, {
      next: `Call restore_service again with another hostname, e.g. ${other}.`,
      patch: { hostname: other }
    })
  })

  /** The release that was live when it was deleted; a service that never was live deploys its branch. */
  const deployLast = Effect.fnUntraced(function* (row: ServiceRow, key: KeyId) {
    const head = yield* sources.newest(row, row.branch)
    const last = (yield* releases.everLive(row.ownerId, row.stageId)).find(
      ({ state }) => state === "retired"
    )
    const commit = last?.commitSha ?? head
    if (commit === null) return
    yield* deployments.request({
      owner: row.ownerId,
      service: row.id,
      stage: row.stageId,
      settingsRevision: row.settingsRevision,
      commit,
      head,
      ...(last === undefined ? {} : { release: last.id }),
      cause: "restore",
      key,
      force: true
    })
  })

  return Effect.fn("Services.restore")(function* (input: RestoreService) {
    yield* requireScope("services:deploy")
    const principal = yield* Principal
    const project = yield* lookup.project(input.project)
    const now = yield* Clock.currentTimeMillis
    const { subject, repeated } = yield* idempotency
      .once(
        {
          owner: principal.owner,
          command: "restore_service",
          key: input.idempotencyKey,
          request: [project, input.name, input.hostname ?? null],
          current: lookup.current(input)
        },
        Effect.gen(function* () {
          const all = yield* trash.list(principal.owner, project, now - platform.trashRetention)
          const trashed = all.find(({ name }) => name === input.name)
          const known = yield* services.find(principal.owner, project, input.name)
          if (Option.isSome(known)) {
            if (trashed === undefined) return ""
            return yield* refuse(
              "name_taken",
              `A newer service has the name '${input.name}', so the deleted one cannot come back.`,
              {
                next: "Delete the newer one first if you want the older one.",
                current: yield* lookup.current(input)
              }
            )
          }
          if (trashed === undefined) {
            return yield* refuse(
              "not_found",
              `name: there is no service '${input.name}' in the trash.`,
              {
                evidence: all.map(({ name }) => `in the trash: ${name}`),
                next: "Call list_services with trashed true to see what can be restored."
              }
            )
          }
          const label = yield* freeLabel(input, trashed)
          yield* trash.restore(principal.owner, trashed, label)
          yield* deployLast(yield* lookup.service(input), principal.key)
          yield* planned(
            `restores '${trashed.name}' under the hostname '${label}' and deploys its last live release`
          )
          return trashed.stageId
        })
      )
      .pipe(whole)
    const row = yield* lookup.service(input)
    const restored = subject !== "" && !repeated
    if (restored) {
      yield* publisher.publish(row.stageId)
      yield* events.publish({ kind: "queued", stage: row.stageId })
    }
    return { restored, service: yield* present.service(row) }
  })
})
