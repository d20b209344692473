/**
 * What a deployment did, step by step, as one document that can be read anywhere. It names results and
 * holds none, and no value of a variable; what programs printed stays in the log of the build.
 */
import { Schema } from "effect"
import { FailureCode } from "../Failure.ts"
import { DeploymentCause, DeploymentPhase } from "../model/Deployment.ts"
import { CommitSha, ServiceName } from "../model/Names.ts"
import { DeploymentViewStatus } from "./Views.ts"

/** ISO 8601 in UTC. */
const Time = Schema.String

const Failed = Schema.Struct({ code: FailureCode, cause: Schema.String })

/** One step of a durable workflow, as its journal has it. */
export const ReplayStep = Schema.Struct({
  /** `DeployService`, or `RetireRelease`, which tidies up once a deployment is live. */
  workflow: Schema.String,
  name: Schema.String,
  /** When it was asked for first. */
  started_at: Time,
  /** When its result was written. */
  ended_at: Schema.NullOr(Time),
  ms: Schema.NullOr(Schema.Int),
  outcome: Schema.Literals(["open", "done", "failed", "interrupted"]),
  /** Names what it made, e.g. `artifact 1f0c…` or `release rel_…`. */
  result: Schema.NullOr(Schema.String),
  failure: Schema.NullOr(Failed)
})
export type ReplayStep = typeof ReplayStep.Type

export const Replay = Schema.Struct({
  format: Schema.Literal("deploy-mcp-replay/1"),
  /** `<service>#<number>` */
  deployment: Schema.String,
  service: ServiceName,
  project: Schema.String,
  cause: DeploymentCause,
  commit: CommitSha,
  settings_revision: Schema.Int,
  status: DeploymentViewStatus,
  release: Schema.NullOr(Schema.String),
  created_at: Time,
  finished_at: Schema.NullOr(Time),
  phases: Schema.Array(
    Schema.Struct({
      phase: DeploymentPhase,
      started_at: Time,
      ended_at: Schema.NullOr(Time)
    })
  ),
  /** Empty when the journal of the deployment is not kept any more. */
  steps: Schema.Array(ReplayStep),
  /** What was tried again within a phase, and why. */
  retries: Schema.Array(Schema.Struct({ at: Time, phase: DeploymentPhase, cause: Schema.String })),
  failure: Schema.NullOr(Schema.Struct({ ...Failed.fields, next: Schema.String }))
})
export type Replay = typeof Replay.Type
