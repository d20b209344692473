/** Makes a service: checks, decides, writes its rows in one transaction and queues what there is. */
import { createHash } from "node:crypto"
import type { CreateService } from "@deploy-mcp/domain/commands/Services"
import { ServiceView } from "@deploy-mcp/domain/commands/Views"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Ids } from "@deploy-mcp/domain/model/Ids"
import {
  reservedHostLabels,
  reservedVariable,
  type ServiceName
} from "@deploy-mcp/domain/model/Names"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import { defaultCpu, defaultMemory, type ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Vault } from "@deploy-mcp/domain/Vault"
import { Effect, Option, Redacted, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { Platform } from "../Platform.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { orDieSql } from "../store/Rows.ts"
import { ServiceStore, variableContext } from "../store/ServiceStore.ts"
import { Present } from "./Present.ts"
import { identify } from "./Repositories.ts"
import { ServiceLookup } from "./ServiceLookup.ts"

const maxVariables = 200
const maxVariableBytes = 32 * 1024
const encodeView = Schema.encodeSync(ServiceView)

/** The command `Services.create`, over the stores that are here. */
export const createService = Effect.gen(function* () {
  const sql = yield* SqlClient
  const platform = yield* Platform
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const idempotency = yield* IdempotencyStore
  const events = yield* DeploymentEvents
  const lookup = yield* ServiceLookup
  const present = yield* Present
  const vault = yield* Vault
  const ids = yield* Ids

  const create = Effect.fn("Services.create")(function* (input: CreateService) {
    yield* requireScope("services:deploy")
    const principal = yield* Principal
    yield* checkVariables(input)
    const project = yield* lookup.project(input.project)
    const repository = yield* identify(input.repo, input.host).pipe(
      Effect.provideService(Platform, platform)
    )
    const source = yield* lookup.source(repository, input.branch)
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
    const row = yield* lookup.service({
      name: input.name,
      ...(input.project ? { project: input.project } : {})
    })
    const service = yield* present.service(row)
    if (!outcome.created && row.specHash !== specHash) {
      return yield* refuse(
        "name_taken",
        `There is a service '${input.name}' in project '${row.projectName}' with other settings.`,
        { current: { ...encodeView(service), settings: row.settings } }
      )
    }
    return { service, created: outcome.created }
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

  return create
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

const sha256 = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex")
