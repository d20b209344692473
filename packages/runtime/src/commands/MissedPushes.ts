/**
 * A kill between git moving a branch and its hook leaves a push that nobody told us about, and a git
 * that does not answer leaves one that nobody could look at. Looks until git answers.
 */
import type { OwnerId, StageId } from "@deploy-mcp/domain/model/Ids"
import { Effect, Layer, Option, Schedule } from "effect"
import { Gits } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import { answersTo, DeploymentStore } from "../store/DeploymentStore.ts"
import { EveryOwner, type Whose } from "../store/Owned.ts"
import { RepositoryStore, repositoryIn } from "../store/RepositoryStore.ts"
import { repositoryOf, ServiceStore } from "../store/ServiceStore.ts"
import { followers } from "./Followers.ts"

/** Between two looks at a git that does not answer. */
const patiently = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("10 seconds")])

export const missedPushes = Effect.gen(function* () {
  const { gitHost } = yield* Platform
  const repositories = yield* RepositoryStore
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const gits = yield* Gits
  const { deployHead } = yield* followers

  const catchUpOne = Effect.fnUntraced(function* (owner: OwnerId, stage: StageId) {
    const service = yield* services.byStage(owner, stage)
    // Another host never told us of its pushes, and is not asked for them at each start.
    if (Option.isNone(service) || service.value.repoHost !== gitHost) return
    const repository = yield* repositories.find(owner, repositoryOf(service.value))
    if (Option.isNone(repository)) return
    const git = gits.get(repository.value.gitInstance)
    const head = yield* git.head(repositoryIn(repository.value), service.value.branch)
    const newest = yield* deployments.newest(owner, stage)
    const known = Option.match(newest, { onNone: () => null, onSome: answersTo })
    if (head !== null && head !== known) yield* deployHead(service.value, head)
  })

  return Effect.fnUntraced(function* (whose: Whose) {
    for (const { ownerId, stageId } of yield* services.all(whose)) {
      yield* catchUpOne(ownerId, stageId).pipe(
        Effect.retry({ schedule: patiently, while: (error) => error.isRetryable }),
        Effect.catchTag("GitError", (error) =>
          Effect.logWarning("a branch could not be looked at", error.reason)
        )
      )
    }
  })
})

/** Looks once, at the start. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const catchUp = yield* missedPushes
    yield* Effect.forkScoped(catchUp(yield* EveryOwner))
  })
)
