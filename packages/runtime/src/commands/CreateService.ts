/** Makes a service: checks, decides, writes its rows in one transaction and queues what there is. */
import { planned } from "@deploy-mcp/domain/commands/Plan"
import type { CreateService } from "@deploy-mcp/domain/commands/Services"
import { ServiceView } from "@deploy-mcp/domain/commands/Views"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Ids, StageId } from "@deploy-mcp/domain/model/Ids"
import { reservedHostLabels, type ServiceName } from "@deploy-mcp/domain/model/Names"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import {
  defaultCpu,
  defaultIdleAfter,
  defaultMemory,
  defaultMode,
  defaultTimeLimit,
  type RepositoryIdentity,
  type ServiceSettings
} from "@deploy-mcp/domain/model/Service"
import { Effect, Option, Schema } from "effect"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { Builds, Deploys } from "../Instances.ts"
import { Platform, urlOf } from "../Platform.ts"
import { CommonStore } from "../store/CommonStore.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { RepositoryStore } from "../store/RepositoryStore.ts"
import { repositoryOf, ServiceStore } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { admission } from "./Admission.ts"
import { identifying, publicGit } from "./Identify.ts"
import { checkFit, isPortlessBy } from "./Kind.ts"
import { Present } from "./Present.ts"
import { requiringSandbox } from "./RequireSandbox.ts"
import { ServiceLookup } from "./ServiceLookup.ts"
import { Sources } from "./Sources.ts"
import { asHeld, checkVariables, type HeldVariable, sealing } from "./Variables.ts"

const encodeView = Schema.encodeSync(ServiceView)

/** The command `Services.create`, over the stores that are here. */
export const createService = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const platform = yield* Platform
  const common = yield* CommonStore
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const idempotency = yield* IdempotencyStore
  const events = yield* DeploymentEvents
  const lookup = yield* ServiceLookup
  const sources = yield* Sources
  const { identify } = yield* identifying
  const repositories = yield* RepositoryStore
  const present = yield* Present
  const seal = yield* sealing
  const ids = yield* Ids
  const builds = yield* Builds
  const deploys = yield* Deploys
  const admit = yield* admission
  const requireSandbox = yield* requiringSandbox

  const create = Effect.fn("Services.create")(function* (input: CreateService) {
    yield* requireScope("services:deploy")
    const principal = yield* Principal
    yield* checkVariables(input.variables, input.runtimeOnly ?? [])
    const project = yield* lookup.project(input.project)
    const region = yield* regionOf(input.region)
    yield* requireSandbox(region)
    const repository = yield* identify(input.repo, input.host)
    const source = yield* sources.choose(repository, input.branch)
    const settings: ServiceSettings = {
      build_pack: "auto",
      memory: defaultMemory,
      cpu: defaultCpu,
      ...input.settings
    }
    yield* checkFit(settings)
    const variables = yield* seal.fingerprinted(input.variables, input.runtimeOnly ?? [])
    const wanted = specOf({ repository, settings, variables })

    const { subject, repeated } = yield* idempotency
      .once(
        {
          owner: principal.owner,
          command: "create_service",
          key: input.idempotencyKey,
          request: [project, input.name, input.branch ?? null, input.region ?? null, wanted],
          current: lookup.current(input)
        },
        Effect.gen(function* () {
          const known = yield* services.find(principal.owner, project, input.name)
          if (Option.isSome(known)) return ""
          if (source.commit !== null) {
            yield* admit({ owner: principal.owner, key: principal.key, stages: [] })
          }
          if (source.unknown !== null) {
            yield* repositories.add(principal.owner, source.unknown, "", publicGit)
          }
          const label = yield* allocateLabel(input.name)
          const { id, stage } = yield* services.add({
            owner: principal.owner,
            project,
            name: input.name,
            repository,
            branch: source.branch,
            settings,
            label,
            buildInstance: deploys.own(region).build ?? builds.default,
            deployInstance: region
          })
          yield* seal.put(stage, variables)
          if (source.commit !== null) {
            yield* deployments.request({
              owner: principal.owner,
              service: id,
              stage,
              settingsRevision: 1,
              commit: source.commit,
              cause: "create",
              key: principal.key,
              force: false
            })
          }
          yield* planned(
            isPortlessBy(settings)
              ? `creates the service '${input.name}', which has no URL`
              : `creates the service '${input.name}' at ${urlOf(platform, label)}`,
            source.commit === null
              ? `deploys the first push to '${source.branch}' of ${repository.name}`
              : `deploys commit ${source.commit} of '${source.branch}'`
          )
          return stage
        })
      )
      .pipe(whole)
    const created = !repeated && subject !== ""

    if (created) yield* events.publish({ kind: "queued", stage: StageId.make(subject) })
    const row = yield* lookup.service({
      name: input.name,
      ...(input.project ? { project: input.project } : {})
    })
    const service = yield* present.service(row)
    const found = specOf({
      repository: repositoryOf(row),
      settings: row.settings,
      variables: (yield* services.variables(row.ownerId, row.stageId)).map(asHeld)
    })
    const otherBranch = input.branch !== undefined && input.branch !== row.branch
    const otherRegion = input.region !== undefined && input.region !== row.deployInstance
    if (!created && !repeated && (found !== wanted || otherBranch || otherRegion)) {
      return yield* refuse(
        "name_taken",
        `There is a service '${input.name}' in project '${row.projectName}' with other settings.`,
        {
          next: "Call update_service to change the one that is shown, or choose another name.",
          current: { ...encodeView(service), settings: row.settings, region: row.deployInstance }
        }
      )
    }
    yield* planned("nothing: it exists already with this spec")
    return { service, created }
  })

  /** A deploy instance by its name. */
  const regionOf = (given: string | undefined) =>
    given === undefined || deploys.names.includes(given)
      ? Effect.succeed(given ?? deploys.default)
      : Effect.fail(
          refuse("invalid_argument", `region: there is no '${given}'.`, {
            evidence: [`regions: ${deploys.names.join(", ")}`],
            next: `Leave region out for '${deploys.default}', or name one that is listed.`
          })
        )

  /** `<service>` when it is free and not the platform's own, else `<service>-<5 characters>`. */
  const allocateLabel = Effect.fnUntraced(function* (name: ServiceName) {
    for (;;) {
      const suffixes = yield* Effect.forEach([1, 2, 3], () => ids.secret(5))
      const candidates = [
        ...(reservedHostLabels.has(name) ? [] : [name]),
        ...suffixes.map((suffix) => `${name}-${suffix.toLowerCase()}`)
      ]
      const [free] = yield* common.freeLabels(candidates)
      if (free !== undefined) return free
    }
  })

  return create
})

/** What must be equal for two specs to be the same; without a value of a variable. */
const specOf = (spec: {
  readonly repository: RepositoryIdentity
  readonly settings: ServiceSettings
  readonly variables: ReadonlyArray<HeldVariable>
}): string =>
  JSON.stringify([
    [spec.repository.host, spec.repository.owner, spec.repository.name],
    Object.entries(spec.settings)
      .filter(([name, value]) => meantAnyway.get(name) !== value)
      .toSorted(byName),
    spec.variables
      .map(({ name, fingerprint, runtimeOnly }) => [name, fingerprint, runtimeOnly] as const)
      .toSorted(byName)
  ])

/** Settings that mean the same whether they are said or left out. */
const meantAnyway: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["mode", defaultMode],
  ["idle_after", defaultIdleAfter],
  ["time_limit", defaultTimeLimit]
])

const byName = (
  [a]: readonly [string, ...ReadonlyArray<unknown>],
  [b]: readonly [string, ...ReadonlyArray<unknown>]
) => (a < b ? -1 : 1)
