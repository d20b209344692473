/** Services: decide, write rows, wake the coordinator. */
import { createHash } from "node:crypto"
import { type CreateService, type ServiceRef, Services } from "@deploy-mcp/domain/commands/Services"
import { ServiceView } from "@deploy-mcp/domain/commands/Views"
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Git } from "@deploy-mcp/domain/Git"
import { Ids, type ProjectId } from "@deploy-mcp/domain/model/Ids"
import {
  type BranchName,
  defaultBranch,
  reservedHostLabels,
  reservedVariable,
  type ServiceName
} from "@deploy-mcp/domain/model/Names"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import {
  defaultCpu,
  defaultMemory,
  type RepositoryIdentity,
  type ServiceSettings
} from "@deploy-mcp/domain/model/Service"
import { Vault } from "@deploy-mcp/domain/Vault"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { Platform } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import { AccountStore } from "../store/AccountStore.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { RepositoryStore } from "../store/RepositoryStore.ts"
import { type ServiceRow, ServiceStore, variableContext } from "../store/ServiceStore.ts"
import { Coordinator } from "../workflows/Coordinator.ts"
import { RemoveService } from "../workflows/RemoveService.ts"
import { limitsNote } from "./Isolation.ts"
import { Present } from "./Present.ts"
import { identify } from "./Repositories.ts"
import { ServiceLogs } from "./ServiceLogs.ts"
import { findService, projectOf } from "./ServiceLookup.ts"

const maxVariables = 200
const maxVariableBytes = 32 * 1024
const encodeView = Schema.encodeSync(ServiceView)
const mask = "••••••"

const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const engine = yield* WorkflowEngine
  const platform = yield* Platform
  const accounts = yield* AccountStore
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const releases = yield* ReleaseStore
  const repositories = yield* RepositoryStore
  const idempotency = yield* IdempotencyStore
  const events = yield* DeploymentEvents
  const coordinator = yield* Coordinator
  const publisher = yield* Publisher
  const present = yield* Present
  const logs = yield* ServiceLogs
  const vault = yield* Vault
  const git = yield* Git
  const ids = yield* Ids

  const find = (ref: ServiceRef) =>
    findService(ref).pipe(
      Effect.provideService(AccountStore, accounts),
      Effect.provideService(ServiceStore, services)
    )
  const view = (row: ServiceRow): Effect.Effect<ServiceView> =>
    Effect.flatMap(present.services([row]), ([first]) =>
      first === undefined ? Effect.die(new Error("a view for each row")) : Effect.succeed(first)
    )

  /** The branch to follow and its newest commit, as git has them now. */
  const sourceOf = Effect.fnUntraced(function* (
    repository: RepositoryIdentity,
    wanted: BranchName | undefined
  ) {
    const principal = yield* Principal
    const row = yield* repositories.find(principal.owner, repository)
    if (Option.isNone(row)) return { branch: wanted ?? defaultBranch, commit: null }
    const branches = yield* git.branches(row.value.id).pipe(Effect.orElseSucceed(() => []))
    const chosen = branches.find(({ branch }) => branch === (wanted ?? defaultBranch))
    if (chosen !== undefined) return chosen
    const newest = wanted === undefined ? branches[0] : undefined
    return newest ?? { branch: wanted ?? defaultBranch, commit: null }
  })

  /** `<service>` when it is free and not the platform's own, else `<service>-<5 characters>`. */
  const allocateLabel = Effect.fnUntraced(function* (name: ServiceName) {
    for (;;) {
      const suffixes = yield* Effect.forEach([1, 2, 3], () => ids.secret(5))
      const candidates = [
        ...(reservedHostLabels.has(name) ? [] : [name]),
        ...suffixes.map((suffix) => `${name}-${suffix.toLowerCase()}`)
      ]
      const [free] = yield* services.freeLabels(candidates)
      if (free !== undefined) return free
    }
  })

  const checkVariables = Effect.fnUntraced(function* (input: CreateService) {
    const entries = Object.entries(input.variables)
    const reserved = entries.find(([name]) => reservedVariable(name))
    if (reserved !== undefined) {
      return yield* refuse(
        "variable_reserved",
        `env_vars.${reserved[0]}: the platform sets this variable itself.`
      )
    }
    if (entries.length > maxVariables) {
      return yield* refuse(
        "limit_reached",
        `env_vars: at most ${maxVariables} variables are allowed.`
      )
    }
    const large = entries.find(
      ([, value]) => Buffer.byteLength(Redacted.value(value)) > maxVariableBytes
    )
    if (large !== undefined) {
      return yield* refuse("limit_reached", `env_vars.${large[0]}: at most 32 KiB are allowed.`)
    }
  })

  const create = Effect.fn("Services.create")(function* (input: CreateService) {
    yield* requireScope("services:deploy")
    const principal = yield* Principal
    yield* checkVariables(input)
    const project = yield* projectOf(input.project).pipe(
      Effect.provideService(AccountStore, accounts)
    )
    const repository = yield* identify(input.repo, input.host).pipe(
      Effect.provideService(Platform, platform)
    )
    const source = yield* sourceOf(repository, input.branch)
    const settings: ServiceSettings = {
      build_pack: "auto",
      memory: defaultMemory,
      cpu: defaultCpu,
      ...input.settings
    }
    const fingerprints = yield* Effect.forEach(
      Object.entries(input.variables).sort(([a], [b]) => (a < b ? -1 : 1)),
      ([name, value]) => Effect.map(vault.fingerprint(value), (print) => `${name}=${print}`)
    )
    const specHash = sha256([repository, input.branch ?? null, settings, fingerprints])

    const outcome = yield* Effect.gen(function* () {
      if (input.idempotencyKey !== undefined) {
        yield* idempotency.claim({
          owner: principal.owner,
          command: "create_service",
          key: input.idempotencyKey,
          request: sha256([project, input.name, specHash])
        })
      }
      const known = yield* services.find(principal.owner, project, input.name)
      if (Option.isSome(known)) return { stage: known.value.stageId, created: false }
      const { id, stage } = yield* services.add({
        owner: principal.owner,
        project,
        name: input.name,
        repository,
        branch: source.branch,
        settings,
        specHash,
        label: yield* allocateLabel(input.name),
        buildInstance: "process",
        deployInstance: "process"
      })
      for (const [name, value] of Object.entries(input.variables)) {
        yield* services.putVariable({
          owner: principal.owner,
          stage,
          name,
          sealed: yield* vault.seal(value, variableContext(stage, name)),
          fingerprint: yield* vault.fingerprint(value),
          runtimeOnly: false
        })
      }
      if (source.commit !== null) {
        yield* deployments.request({
          owner: principal.owner,
          service: id,
          stage,
          settingsRevision: 1,
          commit: source.commit,
          cause: "create",
          force: false
        })
      }
      return { stage, created: true }
    }).pipe(sql.withTransaction, orDieSql)

    if (outcome.created) yield* events.publish({ kind: "queued", stage: outcome.stage })
    const row = yield* find({
      name: input.name,
      ...(input.project ? { project: input.project } : {})
    })
    const service = yield* view(row)
    if (!outcome.created && row.specHash !== specHash) {
      return yield* refuse(
        "name_taken",
        `There is a service '${input.name}' in project '${row.projectName}' with other settings.`,
        { current: { ...encodeView(service), settings: row.settings } }
      )
    }
    return { service, created: outcome.created }
  })

  const redeploy = Effect.fn("Services.redeploy")(function* (
    input: Parameters<Services["Service"]["redeploy"]>[0]
  ) {
    yield* requireScope("services:deploy")
    const principal = yield* Principal
    const row = yield* find(input)
    const { commit } = yield* sourceOf(
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
    const [first] = yield* present.deployments([deployment], row.label)
    return first ?? (yield* Effect.die(new Error("a view for each row")))
  })

  const remove = Effect.fn("Services.remove")(function* (input: ServiceRef) {
    yield* requireScope("services:delete")
    const principal = yield* Principal
    const project = yield* projectOf(input.project).pipe(
      Effect.provideService(AccountStore, accounts)
    )
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
      executionId: `remove-${stageId}-${generation}`,
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
    create,
    redeploy,
    remove,
    list: Effect.fn("Services.list")(function* (input) {
      yield* requireScope("services:read")
      const principal = yield* Principal
      const project: ProjectId | null =
        input.project === undefined
          ? principal.project
          : yield* projectOf(input.project).pipe(Effect.provideService(AccountStore, accounts))
      return yield* present.services(yield* services.list(principal.owner, project))
    }),
    describe: Effect.fn("Services.describe")(function* (input) {
      yield* requireScope("services:read")
      if (input.includeEnv) yield* requireScope("variables:read")
      const row = yield* find(input)
      const service = yield* view(row)
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
      const row = yield* find(input)
      return yield* logs.page(row, input)
    }),
    follow: (input) =>
      logs.follow(
        Effect.gen(function* () {
          yield* requireScope("services:read")
          return yield* find(input)
        }),
        input.tail
      )
  })
})

export const layer = Layer.effect(Services, make)

const sha256 = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex")

/** A database that fails is not the caller's mistake. */
const orDieSql = <A, R>(
  effect: Effect.Effect<A, CommandError | { readonly _tag: "SqlError" }, R>
) => Effect.catchTag(effect, "SqlError", (error) => Effect.die(error))
