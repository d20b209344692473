/** After a service went to the trash: tells the node until it has accepted that nothing of it may run. */
import { StageId } from "@deploy-mcp/domain/model/Ids"
import { Effect, Schedule, Schema } from "effect"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import { Publisher } from "../Publisher.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"

export const RemoveService = Workflow.make("RemoveService", {
  payload: { stage: StageId, generation: Schema.Int },
  idempotencyKey: ({ stage, generation }) => `remove-${stage}-${generation}`
})

export const layer = RemoveService.toLayer(({ stage, generation }) =>
  stopServing(stage, generation)
)

/** Nothing but a restore, which raises the generation, brings the stage back. */
const stopServing = (stage: StageId, generation: number) =>
  Activity.make({
    name: "stopServing",
    execute: Effect.gen(function* () {
      const publisher = yield* Publisher
      const row = yield* (yield* ReleaseStore).stage(stage)
      if (row.generation > generation) return
      yield* publisher
        .publish(stage)
        .pipe(
          Effect.repeat({ schedule: Schedule.spaced("1 second"), until: (accepted) => accepted })
        )
    })
  })
