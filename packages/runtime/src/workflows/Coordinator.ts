/**
 * Decides which deployment of a stage runs, one at a time. It never awaits one: queued deployments,
 * ends of deployments and the start of the platform wake it. Workflows never decide.
 */
import { Failure } from "@deploy-mcp/domain/Failure"
import type { DeploymentId, OwnerId, StageId } from "@deploy-mcp/domain/model/Ids"
import { Context, Effect, Layer } from "effect"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { EveryOwner } from "../store/Owned.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { TrashStore } from "../store/TrashStore.ts"
import { DeployService } from "./DeployService.ts"
import { DeploySteps } from "./DeploySteps.ts"
import { startRemoval } from "./RemoveService.ts"

export class Coordinator extends Context.Service<
  Coordinator,
  {
    /** Looks at a stage and starts, supersedes or leaves alone what it finds. */
    readonly wake: (stage: StageId) => Effect.Effect<void>
    /** Ends a deployment that has not committed, and stops what it does at once. False: too late. */
    readonly cancel: (owner: OwnerId, deployment: DeploymentId) => Effect.Effect<boolean>
    /** Stops the work of a deployment whose row has ended already. */
    readonly stop: (deployment: DeploymentId) => Effect.Effect<void>
  }
>()("@deploy-mcp/runtime/Coordinator") {}

const make = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const everyone = yield* EveryOwner
  const engine = yield* WorkflowEngine
  const deployments = yield* DeploymentStore
  const releases = yield* ReleaseStore
  const trash = yield* TrashStore
  const steps = yield* DeploySteps
  const events = yield* DeploymentEvents

  /** The library arms a compensation by its step's result, so a step that was cut off is undone here. */
  const stop = Effect.fnUntraced(function* (deployment: DeploymentId) {
    yield* engine.interruptUnsafe(DeployService, deployment)
    yield* steps.discardRelease(deployment)
  })

  const wake = Effect.fn("Coordinator.wake")(function* (stage: StageId) {
    const { start, superseded } = yield* whole(deployments.decide(everyone, stage))
    for (const deployment of superseded) {
      yield* events.publish({ kind: "changed", deployment })
      yield* stop(deployment)
    }
    if (start === null) return
    yield* engine
      .execute(DeployService, {
        executionId: start,
        payload: { deployment: start },
        discard: true
      })
      .pipe(Effect.orDie)
  })

  const cancel = Effect.fn("Coordinator.cancel")(function* (
    owner: OwnerId,
    deployment: DeploymentId
  ) {
    const { stageId } = yield* deployments.byId(owner, deployment)
    const cancelled = yield* deployments.end(
      owner,
      deployment,
      "cancelled",
      Failure.of("cancelled", "The deployment was cancelled.")
    )
    if (!cancelled) return false
    yield* events.publish({ kind: "changed", deployment })
    yield* stop(deployment)
    yield* wake(stageId)
    return true
  })

  const remove = (stage: StageId, generation: number) =>
    startRemoval(stage, generation).pipe(
      Effect.provideService(WorkflowEngine, engine),
      Effect.orDie
    )

  /**
   * What a crash left: candidates of ended deployments, deployments that were under way, and services
   * that went to the trash a moment before.
   */
  const sweep = Effect.gen(function* () {
    yield* steps.cleanUpEnded
    for (const { deploymentId } of yield* releases.orphans(everyone)) yield* stop(deploymentId)
    for (const stage of yield* deployments.openStages(everyone)) yield* wake(stage)
    for (const { id, generation } of yield* trash.stages(everyone)) yield* remove(id, generation)
  })

  const next = yield* events.subscribe
  yield* next.pipe(
    Effect.flatMap((event) =>
      event.kind === "queued" || event.kind === "ended" ? wake(event.stage) : Effect.void
    ),
    Effect.catchCause((cause) => Effect.logError("the coordinator failed to decide", cause)),
    Effect.forever,
    Effect.forkScoped
  )
  yield* Effect.forkScoped(sweep)
  return { wake, cancel, stop }
})

export const layer = Layer.effect(Coordinator, make)
