/** After a route has moved: waits until the old release is gone and collects what nothing needs. */
import { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import { Effect, Schema } from "effect"
import * as Activity from "effect/workflow/Activity"
import * as DurableClock from "effect/workflow/DurableClock"
import * as Workflow from "effect/workflow/Workflow"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { EveryOwner } from "../store/Owned.ts"
import { makeRoom } from "./Room.ts"

export class NotCollected extends Schema.TaggedError<NotCollected>()("NotCollected", {}) {}

export const RetireRelease = Workflow.make("RetireRelease", {
  payload: { deployment: DeploymentId },
  idempotencyKey: ({ deployment }) => retirementOf(deployment)
})

/** Its execution id, made from the deployment that moved the route. */
export const retirementOf = (deployment: DeploymentId) => `retire-${deployment}`

const pauses = ["1 second", "10 seconds", "1 minute", "10 minutes", "1 hour"] as const

export const layer = RetireRelease.toLayer(({ deployment }) =>
  Effect.gen(function* () {
    for (const [attempt, pause] of pauses.entries()) {
      const done = yield* collectArtifacts(deployment, attempt).pipe(
        Effect.as(true),
        Effect.catchTag("NotCollected", () => Effect.succeed(false))
      )
      if (done) return
      yield* DurableClock.sleep({ name: `pause-${attempt}`, duration: pause })
    }
  })
)

const collectArtifacts = (deployment: DeploymentId, attempt: number) =>
  Activity.make({
    name: `collectArtifacts-${attempt}`,
    error: NotCollected,
    execute: Effect.gen(function* () {
      const store = yield* DeploymentStore
      const { stageId } = yield* store.byId(yield* EveryOwner, deployment)
      yield* (yield* makeRoom).collect(stageId)
    }).pipe(
      Effect.catchCause((cause) =>
        Effect.logWarning("artifacts were not collected", cause).pipe(
          Effect.andThen(Effect.fail(new NotCollected()))
        )
      )
    )
  })
