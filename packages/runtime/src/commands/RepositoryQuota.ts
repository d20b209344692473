/** What an owner's repositories on the built-in host may have together. */
import { refuse } from "@deploy-mcp/domain/Failure"
import type { OwnerId } from "@deploy-mcp/domain/model/Ids"
import { Effect } from "effect"
import { Gits } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import { RepositoryStore, repositoryIn } from "../store/RepositoryStore.ts"

export const repositoryQuota = Effect.gen(function* () {
  const { gitHost, repositoryQuota: quota } = yield* Platform
  const repositories = yield* RepositoryStore
  const gits = yield* Gits

  /** Bytes. */
  const used = Effect.fnUntraced(function* (owner: OwnerId) {
    const rows = (yield* repositories.list(owner)).filter(({ host }) => host === gitHost)
    const sizes = yield* Effect.forEach(
      rows,
      (row) => gits.get(row.gitInstance).bytes(repositoryIn(row)),
      { concurrency: 8 }
    )
    return sizes.reduce((sum, size) => sum + size, 0)
  })

  /** Why so many bytes more may not be kept; null: they may. */
  const objection = Effect.fnUntraced(function* (owner: OwnerId, more: number) {
    if (quota === 0) return null
    const has = yield* used(owner)
    if (has + more <= quota) return null
    return refuse(
      "quota_exceeded",
      `This adds ${kibibytes(more)}, and the owner's repositories have ${kibibytes(has)} of the ${kibibytes(quota)} that they may have.`,
      {
        next: "Delete a repository that is no longer needed, or ask whoever runs the platform for a larger DEPLOY_MCP_REPOSITORY_QUOTA."
      }
    )
  })

  return { quota, used, objection }
})

const kibibytes = (bytes: number) => `${Math.ceil(bytes / 1024)} KiB`
