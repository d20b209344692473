/** Rows against themselves, and against the journal of the workflows that should act on them. */
import { Failure } from "@deploy-mcp/domain/Failure"
import type { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import { Effect, Option } from "effect"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { Publisher } from "../Publisher.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { JournalStore } from "../store/JournalStore.ts"
import { EveryOwner } from "../store/Owned.ts"
import { ReconcileStore } from "../store/ReconcileStore.ts"
import { ReleaseStore } from "../store/ReleaseStore.ts"
import { TrashStore } from "../store/TrashStore.ts"
import { Coordinator } from "../workflows/Coordinator.ts"
import { DeployService } from "../workflows/DeployService.ts"
import { RemoveService, removalOf, startRemoval } from "../workflows/RemoveService.ts"
import type { Difference } from "./Difference.ts"

export const rowDifferences = Effect.gen(function* () {
  const rows = yield* ReconcileStore
  const everyone = yield* EveryOwner
  const releases = yield* ReleaseStore
  const deployments = yield* DeploymentStore
  const trash = yield* TrashStore
  const journal = yield* JournalStore
  const coordinator = yield* Coordinator
  const publisher = yield* Publisher
  const events = yield* DeploymentEvents
  const engine = yield* WorkflowEngine

  const candidates = (yield* releases.orphans(everyone)).map(
    ({ deploymentId }): Difference => ({
      kind: "candidate",
      subject: deploymentId,
      sentence: `Deployment ${deploymentId} has ended, but its release still waits to go live.`,
      remedy: "the release is taken back",
      mend: coordinator.stop(deploymentId)
    })
  )

  const stages = (yield* rows.wrongStages).map(
    ({ id, name, liveReleaseId }): Difference => ({
      kind: "live_release",
      subject: id,
      sentence: `The rows of ${name} disagree about which release is live (its stage says ${liveReleaseId ?? "none"}).`,
      remedy: "they are made to agree and its node is told",
      mend: Effect.andThen(rows.mendStage(id), publisher.publish(id))
    })
  )

  const removals: Array<Difference> = []
  for (const { id, generation } of yield* trash.stages(everyone)) {
    if (yield* journal.has(RemoveService._tag, removalOf(id, generation))) continue
    removals.push({
      kind: "removal",
      subject: id,
      sentence: `The stage ${id} is in the trash, but nothing waits to remove it for good.`,
      remedy: "its removal is started",
      mend: startRemoval(id, generation).pipe(
        Effect.provideService(WorkflowEngine, engine),
        Effect.orDie
      )
    })
  }

  const workflows: Array<Difference> = []
  for (const { id, name, number } of yield* rows.running) {
    const state = yield* stateOf(id)
    if (state === "works") continue
    workflows.push({
      kind: "workflow",
      subject: id,
      sentence:
        state === "none"
          ? `Deployment ${name}#${number} is under way, but no workflow was started for it.`
          : `Deployment ${name}#${number} is under way, but its workflow has ended.`,
      remedy: state === "none" ? "it is started" : "it ends as failed",
      mend: Effect.gen(function* () {
        const { stageId } = yield* deployments.byId(everyone, id)
        if (state === "none") return yield* coordinator.wake(stageId)
        yield* deployments.end(everyone, id, "failed", lost)
        yield* coordinator.stop(id)
        yield* events.publish({ kind: "changed", deployment: id })
        yield* events.publish({ kind: "ended", stage: stageId })
      })
    })
  }

  return [...candidates, ...stages, ...removals, ...workflows]
})

const stateOf = Effect.fnUntraced(function* (deployment: DeploymentId) {
  const journal = yield* JournalStore
  if (!(yield* journal.has(DeployService._tag, deployment))) return "none"
  const result = yield* WorkflowEngine.use((engine) => engine.poll(DeployService, deployment))
  return Option.isSome(result) && result.value._tag === "Complete" ? "ended" : "works"
})

const lost = Failure.of("internal", "The platform lost the work on this deployment.")
