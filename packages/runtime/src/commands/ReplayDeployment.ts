/** The command `Deployments.replay`: rows and journal of one deployment, as one document. */
import type { Replay, ReplayStep } from "@deploy-mcp/domain/commands/Replay"
import { Failure } from "@deploy-mcp/domain/Failure"
import { redactor } from "@deploy-mcp/domain/model/LogLine"
import { Vault } from "@deploy-mcp/domain/Vault"
import { Effect, Option, Redacted, Schema } from "effect"
import { type DeploymentRow, DeploymentStore } from "../store/DeploymentStore.ts"
import { JournalStore } from "../store/JournalStore.ts"
import { type ServiceRow, ServiceStore, variableContext } from "../store/ServiceStore.ts"
import { DeployService } from "../workflows/DeployService.ts"
import { RetireRelease, retirementOf } from "../workflows/RetireRelease.ts"
import { Present } from "./Present.ts"

export const replayDeployment = Effect.gen(function* () {
  const deployments = yield* DeploymentStore
  const services = yield* ServiceStore
  const journal = yield* JournalStore
  const present = yield* Present
  const vault = yield* Vault

  /** What a step failed with may quote what a program was given. */
  const redacting = Effect.fnUntraced(function* (service: ServiceRow) {
    const rows = yield* services.variables(service.ownerId, service.stageId)
    const values = yield* Effect.forEach(rows, ({ name, sealed }) =>
      Effect.orDie(vault.open(sealed, variableContext(service.stageId, name)))
    )
    return redactor(values.map(Redacted.value))
  })

  const stepsOf = Effect.fnUntraced(function* (workflow: string, execution: string) {
    const steps = yield* journal.steps(workflow, execution)
    return steps.map(({ name, startedAt, endedAt, reply }) => ({
      workflow,
      name,
      started_at: timeOf(startedAt),
      ended_at: endedAt === null ? null : timeOf(endedAt),
      ms: endedAt === null ? null : Math.max(0, endedAt - startedAt),
      ...outcomeOf(reply)
    }))
  })

  return Effect.fn("Deployments.replay")(function* (row: DeploymentRow, service: ServiceRow) {
    const redact = yield* redacting(service)
    const { deployment, status } = yield* present.deployment(row, service)
    const phases = yield* deployments.phases(row.ownerId, [row.id])
    const retries = yield* deployments.retries(row.ownerId, row.id)
    const steps = [
      ...(yield* stepsOf(DeployService._tag, row.id)),
      ...(yield* stepsOf(RetireRelease._tag, retirementOf(row.id)))
    ]
    const shown = <A extends { readonly cause: string }>(failed: A): A => ({
      ...failed,
      cause: redact(failed.cause)
    })
    const { failure } = row
    const replay: Replay = {
      format: "deploy-mcp-replay/1",
      deployment,
      service: service.name,
      project: service.projectName,
      cause: row.cause,
      commit: row.commitSha,
      settings_revision: row.settingsRevision,
      status,
      release: row.releaseId,
      created_at: timeOf(row.createdAt),
      finished_at: row.finishedAt === null ? null : timeOf(row.finishedAt),
      phases: phases.map(({ phase, startedAt, endedAt }) => ({
        phase,
        started_at: timeOf(startedAt),
        ended_at: endedAt === null ? null : timeOf(endedAt)
      })),
      steps: steps.map((step) => ({
        ...step,
        failure: step.failure === null ? null : shown(step.failure)
      })),
      retries: retries.map(({ at, phase, cause }) => shown({ at: timeOf(at), phase, cause })),
      failure:
        failure === null
          ? null
          : shown({ code: failure.code, cause: failure.cause, next: redact(failure.next) })
    }
    return replay
  })
})

const timeOf = (millis: number): string => new Date(millis).toISOString()

/** As the engine writes the result of a step. */
const Succeeded = Schema.Struct({
  value: Schema.Struct({
    exit: Schema.Struct({ _tag: Schema.Literal("Success"), value: Schema.Unknown })
  })
})
const Failed = Schema.Struct({
  value: Schema.Struct({
    exit: Schema.Struct({
      _tag: Schema.Literal("Failure"),
      cause: Schema.NonEmptyArray(Schema.Struct({ error: Schema.Struct({ failure: Failure }) }))
    })
  })
})
const succeeded = Schema.decodeUnknownOption(Succeeded)
const failedWith = Schema.decodeUnknownOption(Failed)
const isPlanned = Schema.is(Schema.Struct({ key: Schema.String }))
const isRelease = Schema.is(Schema.TemplateLiteral(["rel_", Schema.String]))

/** What is neither done nor failed was cut off by the end of its deployment, which says why. */
const outcomeOf = (reply: unknown): Pick<ReplayStep, "outcome" | "result" | "failure"> => {
  if (reply === null) return { outcome: "open", result: null, failure: null }
  const done = succeeded(reply)
  if (Option.isSome(done)) {
    return { outcome: "done", result: named(done.value.value.exit.value), failure: null }
  }
  const failed = failedWith(reply)
  if (Option.isNone(failed)) return { outcome: "interrupted", result: null, failure: null }
  const { code, cause } = failed.value.value.exit.cause[0].error.failure
  return { outcome: "failed", result: null, failure: { code, cause } }
}

const named = (value: unknown): string | null =>
  isPlanned(value) ? `artifact ${value.key}` : isRelease(value) ? `release ${value}` : null
