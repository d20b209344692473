/** Changes what is named of a service and nothing else, and deploys what comes of it. */
import { planned } from "@deploy-mcp/domain/commands/Plan"
import type { UpdateService } from "@deploy-mcp/domain/commands/Services"
import { refuse } from "@deploy-mcp/domain/Failure"
import { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import type { CommitSha } from "@deploy-mcp/domain/model/Names"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import {
  defaultCpu,
  defaultIdleAfter,
  defaultMemory,
  defaultMode,
  defaultTimeLimit,
  ServiceSettings,
  settingNames
} from "@deploy-mcp/domain/model/Service"
import { Effect, Option, Schema } from "effect"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { type ServiceRow, ServiceStore, type VariableRow } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { admission } from "./Admission.ts"
import { checkFit } from "./Kind.ts"
import { Present } from "./Present.ts"
import { ServiceLookup } from "./ServiceLookup.ts"
import { Sources } from "./Sources.ts"
import { asHeld, checkVariables, type NewVariable, sealing } from "./Variables.ts"

/** Settings that a build never reads. */
const runtimeSettings: ReadonlySet<string> = new Set([
  "port",
  "memory",
  "cpu",
  "time_limit",
  "mode",
  "idle_after",
  "health_path"
])

/** A build has to know whether there is a schedule, and not which one. */
const isRuntime = (name: keyof ServiceSettings, before: ServiceSettings, after: ServiceSettings) =>
  name === "schedule"
    ? before.schedule !== undefined && after.schedule !== undefined
    : runtimeSettings.has(name)

/** What rows always say. */
const defaults: Partial<ServiceSettings> = {
  build_pack: "auto",
  memory: defaultMemory,
  cpu: defaultCpu
}

/** What is meant by a setting that rows don't have; undefined: it is detected. */
const effective = (settings: ServiceSettings, name: keyof ServiceSettings) =>
  ({
    mode: defaultMode,
    idle_after: defaultIdleAfter,
    time_limit: defaultTimeLimit,
    ...settings
  })[name]

/** The command `Services.update`, over the stores that are here. */
export const updateService = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const idempotency = yield* IdempotencyStore
  const events = yield* DeploymentEvents
  const lookup = yield* ServiceLookup
  const present = yield* Present
  const sources = yield* Sources
  const seal = yield* sealing
  const admit = yield* admission

  /** What differs from the rows as they are now. */
  const changesOf = Effect.fnUntraced(function* (
    input: UpdateService,
    given: ReadonlyArray<NewVariable>,
    row: ServiceRow
  ) {
    const held = yield* services.variables(row.ownerId, row.stageId)
    const removed = new Set<string>(input.removeVariables ?? [])
    const both = Object.keys(input.variables).find((name) => removed.has(name))
    if (both !== undefined) {
      return yield* refuse(
        "invalid_argument",
        `remove_env_vars: '${both}' is set in the same call.`
      )
    }
    yield* checkVariables(
      input.variables,
      input.runtimeOnly ?? [],
      held.map((variable) => variable.name).filter((name) => !removed.has(name))
    )
    const settings = yield* settingsAfter(input, row)
    yield* checkFit(settings)
    const hidden = new Set<string>(input.runtimeOnly ?? [])
    const put = changedVariables(given, held, hidden)
    const gone = held.filter((variable) => removed.has(variable.name)).map(asHeld)
    const changedSettings = settingNames.filter(
      (name) => effective(row.settings, name) !== effective(settings, name)
    )
    const branch = input.branch ?? row.branch
    return {
      settings,
      branch,
      put,
      gone,
      words: [
        ...(branch === row.branch ? [] : [`branch: ${row.branch} → ${branch}`]),
        ...changedSettings.map(
          (name) =>
            `${name}: ${effective(row.settings, name) ?? "detected"} → ${effective(settings, name) ?? "detected"}`
        ),
        ...put.map(
          ({ name, runtimeOnly }) => `env_vars.${name}${runtimeOnly ? " (runtime only)" : ""}`
        ),
        ...gone.map(({ name }) => `env_vars.${name} removed`)
      ],
      rebuild:
        branch !== row.branch ||
        changedSettings.some((name) => !isRuntime(name, row.settings, settings)) ||
        // A variable that is hidden from now on was visible before.
        put.some(
          ({ name, runtimeOnly }) =>
            !runtimeOnly || held.some((old) => old.name === name && old.runtimeOnly === 0)
        ) ||
        gone.some(({ runtimeOnly }) => !runtimeOnly)
    }
  })

  /**
   * The head of the branch; or what is live, while its host does not answer or a rollback holds the
   * service back from this head.
   */
  const commitFor = Effect.fnUntraced(function* (row: ServiceRow, head: CommitSha | null) {
    const live = yield* deployments.live(row.ownerId, row.stageId)
    return Option.isSome(live) && (head === null || live.value.headSha === head)
      ? live.value.commitSha
      : head
  })

  return Effect.fn("Services.update")(function* (input: UpdateService) {
    yield* requireScope("services:deploy")
    const principal = yield* Principal
    const { id, branch, ...at } = yield* lookup.service(input)
    const head = yield* sources.newest(at, input.branch ?? branch)
    const given = yield* seal.fingerprinted(input.variables, input.runtimeOnly ?? [])
    const request = [
      id,
      input.branch ?? null,
      Object.entries(input.settings),
      input.reset ?? [],
      given.map(({ name, fingerprint }) => [name, fingerprint]),
      input.runtimeOnly ?? [],
      input.removeVariables ?? [],
      input.expectedRevision ?? null
    ]
    let changed: ReadonlyArray<string> = []
    let rebuild = false

    const { subject } = yield* idempotency
      .once(
        {
          owner: principal.owner,
          command: "update_service",
          key: input.idempotencyKey,
          request,
          current: lookup.current(input)
        },
        Effect.gen(function* () {
          const row = yield* lookup.service(input)
          if (
            input.expectedRevision !== undefined &&
            input.expectedRevision !== row.settingsRevision
          ) {
            return yield* refuse(
              "settings_changed",
              `expected_revision: the settings of '${row.name}' have revision ${row.settingsRevision} now.`,
              { current: yield* lookup.current(input) }
            )
          }
          const change = yield* changesOf(input, given, row)
          if (change.words.length === 0) {
            yield* planned("nothing: all of it is so already")
            return ""
          }
          const commit = yield* commitFor(row, head)
          if (commit !== null) {
            yield* admit({ owner: row.ownerId, key: principal.key, stages: [row.stageId] })
          }
          if (!(yield* services.update(row, change))) {
            return yield* refuse("settings_changed", "Another change came first.", {
              next: "Call again.",
              current: yield* lookup.current(input)
            })
          }
          yield* services.removeVariables(
            row.ownerId,
            row.stageId,
            change.gone.map(({ name }) => name)
          )
          yield* seal.put(row.stageId, change.put)
          changed = change.words
          rebuild = change.rebuild
          yield* planned(
            ...change.words,
            commit === null
              ? "nothing is deployed until the first push"
              : change.rebuild
                ? `builds and deploys commit ${commit}`
                : `makes a new release of commit ${commit} without a build`
          )
          if (commit === null) return ""
          const deployment = yield* deployments.request({
            owner: principal.owner,
            service: row.id,
            stage: row.stageId,
            settingsRevision: row.settingsRevision + 1,
            commit,
            head,
            cause: "settings",
            key: principal.key,
            force: false
          })
          return deployment.id
        })
      )
      .pipe(
        whole,
        // Two changes at once are merged; only one that names a revision wants to be refused.
        Effect.retry({
          times: 5,
          while: ({ failure }) =>
            failure.code === "settings_changed" && input.expectedRevision === undefined
        })
      )

    const row = yield* lookup.service(input)
    if (subject !== "") {
      const { stageId } = yield* deployments.byId(row.ownerId, DeploymentId.make(subject))
      yield* events.publish({ kind: "queued", stage: stageId })
    }
    return {
      service: yield* present.service(row),
      revision: row.settingsRevision,
      changed,
      rebuild
    }
  })
})

/** Out of what is there: without what is reset, with what is given. */
const settingsAfter = Effect.fnUntraced(function* (input: UpdateService, row: ServiceRow) {
  const reset = new Set<string>(input.reset ?? [])
  const both = Object.keys(input.settings).find((name) => reset.has(name))
  if (both !== undefined) {
    return yield* refuse("invalid_argument", `reset: '${both}' is set in the same call.`)
  }
  const kept = Object.entries(row.settings).filter(([name]) => !reset.has(name))
  return decodeSettings({ ...defaults, ...Object.fromEntries(kept), ...input.settings })
})
const decodeSettings = Schema.decodeUnknownSync(ServiceSettings)

/** Given values that differ, and held ones that are hidden now; a given one stays hidden if it was. */
const changedVariables = (
  given: ReadonlyArray<NewVariable>,
  held: ReadonlyArray<VariableRow>,
  hidden: ReadonlySet<string>
): ReadonlyArray<NewVariable> => {
  const before = new Map(held.map((variable) => [variable.name, variable]))
  const replaced = given
    .map((variable) => ({
      ...variable,
      runtimeOnly: variable.runtimeOnly || before.get(variable.name)?.runtimeOnly === 1
    }))
    .filter(({ name, fingerprint, runtimeOnly }) => {
      const old = before.get(name)
      return old?.fingerprint !== fingerprint || (old.runtimeOnly === 1) !== runtimeOnly
    })
  const names = new Set(given.map(({ name }) => name))
  const nowHidden = held
    .filter(({ name, runtimeOnly }) => runtimeOnly === 0 && hidden.has(name) && !names.has(name))
    .map((old) => ({ ...asHeld(old), runtimeOnly: true, value: { sealed: old.sealed } }))
  return [...replaced, ...nowHidden]
}
