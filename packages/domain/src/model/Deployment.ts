/** One durable run that tries to make a release live. */
import { Schema } from "effect"
import { Failure } from "../Failure.ts"
import { DeploymentId, OwnerId, ReleaseId, ServiceId, StageId } from "./Ids.ts"
import { CommitSha, ServiceName } from "./Names.ts"

export const DeploymentCause = Schema.Literals([
  "push",
  "create",
  "redeploy",
  "rollback",
  "settings",
  "restore"
])
export type DeploymentCause = typeof DeploymentCause.Type

/** `committed` is the fence: from there on the release is live and nothing takes it back but a newer one. */
export const DeploymentStatus = Schema.Literals([
  "queued",
  "running",
  "committed",
  "failed",
  "cancelled",
  "superseded"
])
export type DeploymentStatus = typeof DeploymentStatus.Type

export const DeploymentPhase = Schema.Literals([
  "queued",
  "source",
  "build",
  "start",
  "health",
  "route"
])
export type DeploymentPhase = typeof DeploymentPhase.Type

/** A phase with its times in milliseconds since 1970. */
export const PhaseTime = Schema.Struct({
  phase: DeploymentPhase,
  startedAt: Schema.Int,
  endedAt: Schema.NullOr(Schema.Int)
})
export type PhaseTime = typeof PhaseTime.Type

export const Deployment = Schema.Struct({
  id: DeploymentId,
  owner: OwnerId,
  service: ServiceId,
  serviceName: ServiceName,
  stage: StageId,
  /** Rises by one for each (service, stage); the deployment is called `<service>#<number>`. */
  number: Schema.Int,
  cause: DeploymentCause,
  commit: CommitSha,
  settingsRevision: Schema.Int,
  status: DeploymentStatus,
  phases: Schema.Array(PhaseTime),
  release: Schema.NullOr(ReleaseId),
  failure: Schema.NullOr(Failure),
  createdAt: Schema.Int,
  finishedAt: Schema.NullOr(Schema.Int)
})
export type Deployment = typeof Deployment.Type

export const isFinished = (status: DeploymentStatus): boolean =>
  status !== "queued" && status !== "running"
