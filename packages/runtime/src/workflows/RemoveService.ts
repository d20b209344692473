/** After a service went to the trash: its node forgets it at once, its rows go when the retention is over. */
import { StageId } from "@deploy-mcp/domain/model/Ids"
import { Effect, Schedule, Schema } from "effect"
import * as Activity from "effect/workflow/Activity"
import * as DurableClock from "effect/workflow/DurableClock"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { DeploymentLog } from "../DeploymentLog.ts"
import { Builds } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import { EveryOwner } from "../store/Owned.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { TrashStore } from "../store/TrashStore.ts"
import { ArtifactTurn } from "./ArtifactTurn.ts"

/** A restore raises the stage's generation, and with it everything below lets go. */
export const RemoveService = Workflow.make("RemoveService", {
  payload: { stage: StageId, generation: Schema.Int },
  idempotencyKey: ({ stage, generation }) => removalOf(stage, generation)
})

/** Starts it; a second start is harmless. */
export const startRemoval = (stage: StageId, generation: number) =>
  WorkflowEngine.use((engine) =>
    engine.execute(RemoveService, {
      executionId: removalOf(stage, generation),
      payload: { stage, generation },
      discard: true
    })
  )

export const removalOf = (stage: StageId, generation: number) => `remove-${stage}-${generation}`

export const layer = RemoveService.toLayer(({ stage, generation }) =>
  Effect.gen(function* () {
    yield* stopServing(stage, generation)
    const { trashRetention } = yield* Platform
    yield* DurableClock.sleep({ name: "retention", duration: trashRetention })
    yield* purge(stage, generation)
  })
)

/** Told again until the node has accepted and kept it. */
const stopServing = (stage: StageId, generation: number) =>
  Activity.make({
    name: "stopServing",
    execute: Effect.gen(function* () {
      const publisher = yield* Publisher
      const trash = yield* TrashStore
      if (!(yield* trash.holds(yield* EveryOwner, stage, generation))) return
      yield* publisher.publish(stage).pipe(
        Effect.repeat({
          schedule: Schedule.spaced("1 second"),
          until: (accepted) => accepted
        })
      )
    })
  })

/**
 * Once it has begun nothing is restored: a restore at the last moment is either before it, and wins, or
 * finds nothing. Artifacts and logs first: rows that still name them make a second run possible.
 */
const purge = (stage: StageId, generation: number) =>
  Activity.make({
    name: "purge",
    execute: Effect.gen(function* () {
      const trash = yield* TrashStore
      const log = yield* DeploymentLog
      const everyone = yield* EveryOwner
      if (!(yield* trash.claim(everyone, stage, generation))) return
      const { buildInstance } = yield* (yield* ReleaseStore).stage(everyone, stage)
      const build = (yield* Builds).get(buildInstance)
      const { alone } = yield* ArtifactTurn
      // With its rows: of two stages that have an artifact in common the later one finds itself alone with it.
      yield* Effect.gen(function* () {
        const { artifacts, deployments } = yield* trash.contents(everyone, stage)
        yield* Effect.forEach(artifacts, (key) => build.remove(key), { discard: true })
        yield* Effect.forEach(deployments, (id) => log.remove(id), { discard: true })
        yield* trash.purge(everyone, stage, generation)
      }).pipe(alone)
    }).pipe(Effect.retry(Schedule.spaced("1 minute")), Effect.orDie)
  })
