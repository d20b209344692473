/**
 * Makes a release of a deployment's commit live. The body is the runbook; each step is stored under
 * its name, converges when it runs twice, and asks the deployment's row whether it may still act.
 */
import { ArtifactKey, BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import { DeploymentId, ReleaseId } from "@deploy-mcp/domain/model/Ids"
import { Effect, Schema } from "effect"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { DeploymentFailed, guarded } from "./DeploymentFailed.ts"
import { DeploySteps } from "./DeploySteps.ts"
import { RetireRelease, retirementOf } from "./RetireRelease.ts"

export const DeployService = Workflow.make("DeployService", {
  payload: { deployment: DeploymentId },
  success: ReleaseId,
  error: DeploymentFailed,
  idempotencyKey: ({ deployment }) => deployment
})

/** What a build needs, once the source has been read. */
export const Planned = Schema.Struct({ key: ArtifactKey, plan: BuildPlan })

export const layer = DeployService.toLayer(({ deployment }) =>
  Effect.gen(function* () {
    if (yield* bringsBack(deployment)) return yield* goBack(deployment)
    const planned = yield* planBuild(deployment)
    yield* buildArtifact(deployment, planned)
    const release = yield* recordRelease(deployment, planned).pipe(
      DeployService.withCompensation(() => discardRelease(deployment))
    )
    yield* awaitHealthy(deployment, release)
    yield* moveRoute(deployment, release) // the commit point: nothing below may fail or be interrupted
    yield* retirePrevious(deployment)
    return release
  }).pipe(Effect.tapError((error) => recordFailure(deployment, error)))
)

/** Its row never says anything else. */
const bringsBack = (deployment: DeploymentId) =>
  DeploySteps.use((steps) => steps.bringsBack(deployment))

/** Nothing is read or built, so that all before the commit point is one step. */
const goBack = (deployment: DeploymentId) =>
  Effect.gen(function* () {
    const release = yield* bringBack(deployment).pipe(
      DeployService.withCompensation(() => discardRelease(deployment))
    )
    yield* moveRoute(deployment, release)
    yield* retirePrevious(deployment)
    return release
  })

const bringBack = (deployment: DeploymentId) =>
  Activity.make({
    name: "bringBack",
    success: ReleaseId,
    error: DeploymentFailed,
    execute: DeploySteps.use((steps) => guarded("bringBack", steps.bringBack(deployment)))
  })

const planBuild = (deployment: DeploymentId) =>
  Activity.make({
    name: "planBuild",
    success: Planned,
    error: DeploymentFailed,
    execute: DeploySteps.use((steps) => guarded("planBuild", steps.planBuild(deployment)))
  })

const buildArtifact = (deployment: DeploymentId, planned: typeof Planned.Type) =>
  Activity.make({
    name: "buildArtifact",
    error: DeploymentFailed,
    execute: DeploySteps.use((steps) =>
      guarded("buildArtifact", steps.buildArtifact(deployment, planned))
    )
  })

const recordRelease = (deployment: DeploymentId, { key }: typeof Planned.Type) =>
  Activity.make({
    name: "recordRelease",
    success: ReleaseId,
    error: DeploymentFailed,
    execute: DeploySteps.use((steps) =>
      guarded("recordRelease", steps.recordRelease(deployment, key))
    )
  })

const discardRelease = (deployment: DeploymentId) =>
  DeploySteps.use((steps) => steps.discardRelease(deployment))

const awaitHealthy = (deployment: DeploymentId, release: ReleaseId) =>
  Activity.make({
    name: "awaitHealthy",
    error: DeploymentFailed,
    execute: DeploySteps.use((steps) =>
      guarded("awaitHealthy", steps.awaitHealthy(deployment, release))
    )
  })

const moveRoute = (deployment: DeploymentId, release: ReleaseId) =>
  Activity.make({
    name: "moveRoute",
    error: DeploymentFailed,
    execute: DeploySteps.use((steps) => guarded("moveRoute", steps.moveRoute(deployment, release)))
  })

/** A child of its own, so that nothing that happens to it can reach the live release. */
const retirePrevious = (deployment: DeploymentId) =>
  WorkflowEngine.use((engine) =>
    engine.execute(RetireRelease, {
      executionId: retirementOf(deployment),
      payload: { deployment },
      discard: true,
      detached: true
    })
  )

const recordFailure = (deployment: DeploymentId, error: DeploymentFailed) =>
  Activity.make({
    name: "recordFailure",
    execute: DeploySteps.use((steps) => steps.recordFailure(deployment, error.failure))
  })
