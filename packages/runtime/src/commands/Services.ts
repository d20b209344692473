/** Services: decide, write rows, wake the coordinator. */
import { type ServiceRef, Services } from "@deploy-mcp/domain/commands/Services"
import { refuse } from "@deploy-mcp/domain/Failure"
import type { ProjectId } from "@deploy-mcp/domain/model/Ids"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import { Vault } from "@deploy-mcp/domain/Vault"
import { Effect, Layer, Option, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { Publisher } from "../Publisher.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { orDieSql } from "../store/Rows.ts"
import { ServiceStore, variableContext } from "../store/ServiceStore.ts"
import { Coordinator } from "../workflows/Coordinator.ts"
import { RemoveService, removalOf } from "../workflows/RemoveService.ts"
import { createService } from "./CreateService.ts"
import { limitsNote } from "./Isolation.ts"
import { Present } from "./Present.ts"
import { ServiceLogs } from "./ServiceLogs.ts"
import { ServiceLookup } from "./ServiceLookup.ts"

const mask = "••••••"

const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const engine = yield* WorkflowEngine
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const releases = yield* ReleaseStore
  const idempotency = yield* IdempotencyStore
  const events = yield* DeploymentEvents
  const coordinator = yield* Coordinator
  const publisher = yield* Publisher
  const lookup = yield* ServiceLookup
  const present = yield* Present
  const logs = yield* ServiceLogs
  const vault = yield* Vault

  const redeploy = Effect.fn("Services.redeploy")(function* (
    input: Parameters<Services["Service"]["redeploy"]>[0]
  ) {
    yield* requireScope("services:deploy")
    const principal = yield* Principal
    const row = yield* lookup.service(input)
    const { commit } = yield* lookup.source(
      { host: row.repoHost, owner: row.repoOwner, name: row.repoName },
      row.branch
    )
    if (commit === null) {
      return yield* refuse(
        "nothing_to_deploy",
        `The branch '${row.branch}' of ${row.repoHost}/${row.repoOwner}/${row.repoName} has no commit.`
      )
    }
    const id = yield* Effect.gen(function* () {
      const known =
        input.idempotencyKey === undefined
          ? null
          : yield* idempotency.claim({
              owner: principal.owner,
              command: "redeploy_service",
              key: input.idempotencyKey,
              request: row.id
            })
      if (known !== null) return known
      const requested = yield* deployments.request({
        owner: principal.owner,
        service: row.id,
        stage: row.stageId,
        settingsRevision: row.settingsRevision,
        commit,
        cause: "redeploy",
        force: true
      })
      if (input.idempotencyKey !== undefined) {
        yield* idempotency.remember(
          principal.owner,
          "redeploy_service",
          input.idempotencyKey,
          requested.id
        )
      }
      return requested.id
    }).pipe(sql.withTransaction, orDieSql)
    yield* events.publish({ kind: "queued", stage: row.stageId })
    const deployment = yield* deployments.byId(id)
    return yield* present.deployment(deployment, row.label)
  })

  const remove = Effect.fn("Services.remove")(function* (input: ServiceRef) {
    yield* requireScope("services:delete")
    const principal = yield* Principal
    const project = yield* lookup.project(input.project)
    const row = yield* services.find(principal.owner, project, input.name)
    if (Option.isNone(row)) {
      return { removed: false, name: input.name, next: "There is no such service; nothing to do." }
    }
    const { stageId } = row.value
    const cancelled = yield* sql
      .withTransaction(services.trash(principal.owner, row.value))
      .pipe(orDieSql)
    for (const { id } of cancelled) {
      yield* events.publish({ kind: "changed", deployment: id })
      yield* coordinator.stop(id)
    }
    yield* publisher.publish(stageId)
    const { generation } = yield* releases.stage(stageId)
    yield* engine.execute(RemoveService, {
      executionId: removalOf(stageId, generation),
      payload: { stage: stageId, generation },
      discard: true
    })
    return {
      removed: true,
      name: input.name,
      next: `'${input.name}' serves nothing any more; its name and hostname are free. Its repository is kept: create_service with repo ${row.value.repoName} deploys it again.`
    }
  })

  return Services.of({
    create: yield* createService,
    redeploy,
    remove,
    list: Effect.fn("Services.list")(function* (input) {
      yield* requireScope("services:read")
      const principal = yield* Principal
      const project: ProjectId | null =
        input.project === undefined ? principal.project : yield* lookup.project(input.project)
      return yield* present.services(yield* services.list(principal.owner, project))
    }),
    describe: Effect.fn("Services.describe")(function* (input) {
      yield* requireScope("services:read")
      if (input.includeEnv) yield* requireScope("variables:read")
      const row = yield* lookup.service(input)
      const service = yield* present.service(row)
      const node = yield* publisher.node
      const variables = yield* services.variables(row.stageId)
      const env = yield* Effect.forEach(variables, (variable) =>
        Effect.gen(function* () {
          const value = input.includeEnv
            ? Redacted.value(
                yield* vault.open(variable.sealed, variableContext(row.stageId, variable.name))
              )
            : mask
          return { name: variable.name, fingerprint: variable.fingerprint, value }
        })
      ).pipe(Effect.orDie)
      return {
        ...service,
        settings: row.settings,
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
        input.tail
      )
  })
})

export const layer = Layer.effect(Services, make)
