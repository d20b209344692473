/** What an owner's repositories on the built-in host may have together. */
import { refuse } from "@deploy-mcp/domain/Failure"
import type { OwnerId } from "@deploy-mcp/domain/model/Ids"
import { Effect } from "effect"
import { Gits } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import type { Whose } from "../store/Owned.ts"
import { RepositoryStore, repositoryIn } from "../store/RepositoryStore.ts"

export const repositoryQuota = Effect.gen(function* () {
  const { gitHost, repositoryQuota: quota } = yield* Platform
  const repositories = yield* RepositoryStore
  const gits = yield* Gits

  const measured = Effect.fnUntraced(function* (whose: Whose) {
    const rows = (yield* repositories.list(whose)).filter(({ host }) => host === gitHost)
    return yield* Effect.forEach(
      rows,
      (row) =>
        Effect.map(gits.get(row.gitInstance).bytes(repositoryIn(row)), (bytes) => ({
          owner: row.ownerName,
          bytes
        })),
      { concurrency: 8 }
    )
  })

  /** Bytes. */
  const used = (owner: OwnerId) =>
    Effect.map(measured(owner), (all) => all.reduce((sum, { bytes }) => sum + bytes, 0))

  /** Bytes of each who has any repository. */
  const usedByOwner = (whose: Whose) =>
    Effect.map(measured(whose), (all) => {
      const sums = new Map<string, number>()
      for (const { bytes, owner } of all) sums.set(owner, (sums.get(owner) ?? 0) + bytes)
      return [...sums].map(([owner, bytes]) => ({ owner, bytes }))
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

  return { quota, used, usedByOwner, objection }
})

const kibibytes = (bytes: number) => `${Math.ceil(bytes / 1024)} KiB`
