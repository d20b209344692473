/** Services: decide, write rows, wake the coordinator. */
import { planned } from "@deploy-mcp/domain/commands/Plan"
import { type DeleteService, Services } from "@deploy-mcp/domain/commands/Services"
import { DeploymentId, type ProjectId, StageId } from "@deploy-mcp/domain/model/Ids"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import { Vault } from "@deploy-mcp/domain/Vault"
import { Clock, Effect, Layer, Option, Redacted } from "effect"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { Platform, urlOf } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { countIn, ServiceStore, variableContext } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { TrashStore } from "../store/TrashStore.ts"
import { Coordinator } from "../workflows/Coordinator.ts"
import { startRemoval } from "../workflows/RemoveService.ts"
import { admission } from "./Admission.ts"
import { createService } from "./CreateService.ts"
import { deployFiles } from "./DeployFiles.ts"
import { limitsNote } from "./Isolation.ts"
import { kindOf } from "./Kind.ts"
import { iso, Present } from "./Present.ts"
import { restoreService } from "./RestoreService.ts"
import { rollbackService } from "./RollbackService.ts"
import { ServiceLogs, searchOf } from "./ServiceLogs.ts"
import { ServiceLookup } from "./ServiceLookup.ts"
import { Sources } from "./Sources.ts"
import { updateService } from "./UpdateService.ts"

const mask = "••••••"

const make = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const engine = yield* WorkflowEngine
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const releases = yield* ReleaseStore
  const idempotency = yield* IdempotencyStore
  const events = yield* DeploymentEvents
  const coordinator = yield* Coordinator
  const platform = yield* Platform
  const trash = yield* TrashStore
  const publisher = yield* Publisher
  const lookup = yield* ServiceLookup
  const present = yield* Present
  const sources = yield* Sources
  const logs = yield* ServiceLogs
  const vault = yield* Vault
  const admit = yield* admission

  const redeploy = Effect.fn("Services.redeploy")(function* (
    input: Parameters<Services["Service"]["redeploy"]>[0]
  ) {
    yield* requireScope("services:deploy")
    const principal = yield* Principal
    const asked = yield* lookup.service(input)
    const commit = yield* sources.head(asked)
    const { subject } = yield* idempotency
      .once(
        {
          owner: principal.owner,
          command: "redeploy_service",
          key: input.idempotencyKey,
          request: asked.id,
          current: lookup.current(input)
        },
        Effect.gen(function* () {
          const row = yield* lookup.again(asked)
          yield* admit({ owner: row.ownerId, key: principal.key, stages: [row.stageId] })
          yield* planned(`deploys commit ${commit} of '${row.branch}' with the present settings`)
          const { id } = yield* deployments.request({
            owner: principal.owner,
            service: row.id,
            stage: row.stageId,
            settingsRevision: row.settingsRevision,
            commit,
            cause: "redeploy",
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

  const remove = Effect.fn("Services.remove")(
    // Once it is in the trash its node is told and its end is started, even when the caller hangs up.
    function* (input: DeleteService) {
      yield* requireScope("services:delete")
      const principal = yield* Principal
      const project = yield* lookup.project(input.project)
      const cancelled: Array<DeploymentId> = []
      const { subject, repeated } = yield* idempotency
        .once(
          {
            owner: principal.owner,
            command: "delete_service",
            key: input.idempotencyKey,
            request: [project, input.name],
            current: lookup.current(input)
          },
          Effect.gen(function* () {
            const row = yield* services.find(principal.owner, project, input.name)
            if (Option.isNone(row)) {
              yield* planned("nothing: there is no such service")
              return ""
            }
            for (const { id } of yield* services.trash(principal.owner, row.value))
              cancelled.push(id)
            yield* planned(
              kindOf(row.value).hasUrl
                ? `moves '${input.name}' to the trash: ${urlOf(platform, row.value.label)} stops answering`
                : `moves '${input.name}' to the trash: it runs no more`,
              `it can be restored until ${yield* restorableUntil}`
            )
            return row.value.stageId
          })
        )
        .pipe(whole)
      if (subject === "") {
        return {
          removed: false,
          name: input.name,
          next: "There is no such service; nothing to do."
        }
      }
      const next = `'${input.name}' serves nothing any more; its name and hostname are free. To undo: restore_service with name ${input.name}, until ${yield* restorableUntil}. Its repository is kept.`
      if (repeated) return { removed: true, name: input.name, next }
      const stage = StageId.make(subject)
      for (const id of cancelled) {
        yield* events.publish({ kind: "changed", deployment: id })
        yield* coordinator.stop(id)
      }
      yield* publisher.publish(stage)
      const { generation } = yield* releases.stage(principal.owner, stage)
      yield* startRemoval(stage, generation).pipe(Effect.provideService(WorkflowEngine, engine))
      return { removed: true, name: input.name, next }
    },
    Effect.uninterruptible
  )

  const restorableUntil = Effect.map(Clock.currentTimeMillis, (now) =>
    iso(now + platform.trashRetention)
  )

  return Services.of({
    create: yield* createService,
    deployFiles: yield* deployFiles,
    update: yield* updateService,
    rollback: yield* rollbackService,
    restore: yield* restoreService,
    redeploy,
    remove,
    trash: Effect.fn("Services.trash")(function* (input) {
      yield* requireScope("services:read")
      const principal = yield* Principal
      const project: ProjectId | null =
        input.project === undefined ? principal.project : yield* lookup.project(input.project)
      const now = yield* Clock.currentTimeMillis
      const rows = yield* trash.list(principal.owner, project, now - platform.trashRetention)
      return rows.map((row) => ({
        name: row.name,
        project: row.projectName,
        hostname: row.trashedHostname,
        deleted_at: iso(row.trashedAt),
        restorable_until: iso(row.trashedAt + platform.trashRetention)
      }))
    }),
    list: Effect.fn("Services.list")(function* (input) {
      yield* requireScope("services:read")
      const principal = yield* Principal
      const project: ProjectId | null =
        input.project === undefined ? principal.project : yield* lookup.project(input.project)
      const rows = yield* services.page({
        owner: principal.owner,
        project,
        after: input.after ?? null,
        limit: input.limit + 1
      })
      return {
        services: yield* present.services(principal.owner, rows.slice(0, input.limit)),
        total: countIn(yield* services.counts(principal.owner), project),
        more: rows.length > input.limit
      }
    }),
    describe: Effect.fn("Services.describe")(function* (input) {
      yield* requireScope("services:read")
      if (input.includeEnv) yield* requireScope("variables:read")
      const row = yield* lookup.service(input)
      const service = yield* present.service(row)
      const node = yield* publisher.node(row.deployInstance)
      const variables = yield* services.variables(row.ownerId, row.stageId)
      const env = yield* Effect.forEach(variables, (variable) =>
        Effect.gen(function* () {
          const value = input.includeEnv
            ? Redacted.value(
                yield* vault.open(variable.sealed, variableContext(row.stageId, variable.name))
              )
            : mask
          return {
            name: variable.name,
            fingerprint: variable.fingerprint,
            value,
            runtime_only: variable.runtimeOnly === 1
          }
        })
      ).pipe(Effect.orDie)
      return {
        ...service,
        schedule: yield* present.schedule(row),
        settings: row.settings,
        revision: row.settingsRevision,
        limits: {
          memory_mb: row.settings.memory,
          cpu: row.settings.cpu,
          enforced: {
            memory: node?.isolation.limits.memory ?? false,
            cpu: node?.isolation.limits.cpu ?? false
          },
          note: limitsNote(node?.isolation ?? null)
        },
        env,
        deploy_log: yield* logs.newestBuild(row, input.deployLogLines),
        runtime_log: yield* logs.newestRuntime(row, input.runtimeLogLines)
      }
    }),
    logs: Effect.fn("Services.logs")(function* (input) {
      yield* requireScope("services:read")
      const row = yield* lookup.service(input)
      return yield* logs.page(row, input)
    }),
    follow: (input) =>
      logs.follow(
        Effect.gen(function* () {
          yield* requireScope("services:read")
          return yield* lookup.service(input)
        }),
        input.tail,
        searchOf(input)
      )
  })
})

export const layer = Layer.effect(Services, make)
