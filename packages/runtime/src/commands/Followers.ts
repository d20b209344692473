/** Deploys what follows a branch, whoever moved it. */
import type { BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import { Effect } from "effect"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { Gits } from "../Instances.ts"
import { retried } from "../Retried.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { type RepositoryRow, repositoryIn } from "../store/RepositoryStore.ts"
import { type ServiceRow, ServiceStore } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"

export const followers = Effect.gen(function* () {
  const { whole } = yield* Transactions
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const events = yield* DeploymentEvents
  const gits = yield* Gits

  const deployHead = Effect.fnUntraced(function* (service: ServiceRow, commit: CommitSha) {
    const { id } = yield* deployments
      .request({
        owner: service.ownerId,
        service: service.id,
        stage: service.stageId,
        settingsRevision: service.settingsRevision,
        commit,
        cause: "push",
        force: false
      })
      .pipe(whole)
    yield* events.publish({ kind: "queued", stage: service.stageId })
    return id
  })

  /** Queues what the branch's head needs now, whatever the event said; fails while nobody can tell it. */
  const deployFollowers = Effect.fnUntraced(function* (
    repository: RepositoryRow,
    branch: BranchName
  ) {
    const git = gits.get(repository.gitInstance)
    const commit = yield* retried(git.head(repositoryIn(repository), branch))
    if (commit === null) return []
    const all = yield* services.followers(repository.ownerId, repositoryIn(repository), branch)
    return yield* Effect.forEach(all, (service) =>
      Effect.map(deployHead(service, commit), (id) => ({ service, id }))
    )
  })

  return { deployHead, deployFollowers }
})
