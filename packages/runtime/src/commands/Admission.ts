/**
 * How many deployments one key and one owner may have open at a time. Who has more is told to come back,
 * so that no caller fills the queue of all others. A stage runs one deployment at a time and the newest
 * wins, so that another one for a stage which has one open adds nothing and is always let in.
 */
import { refuse } from "@deploy-mcp/domain/Failure"
import type { KeyId, OwnerId, StageId } from "@deploy-mcp/domain/model/Ids"
import { Effect } from "effect"
import { Platform } from "../Platform.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"

export interface Asking {
  readonly owner: OwnerId
  /** Null: a git token, which is no key. */
  readonly key: KeyId | null
  /** What would deploy. */
  readonly stages: ReadonlyArray<StageId>
}

/** Seconds: most deployments have ended by then. */
const retryAfter = 5

export const admission = Effect.gen(function* () {
  const deployments = yield* DeploymentStore
  const { openPerKey, openPerOwner } = yield* Platform

  /** Fails with `rate_limited` when a deployment would be one too many. */
  return Effect.fn("admission")(function* ({ key, owner, stages }: Asking) {
    const open = yield* deployments.openOf(owner)
    if (open.some(({ stageId }) => stages.includes(stageId))) return
    const mine = open.filter(({ keyId }) => keyId !== null && keyId === key).length
    if (openPerKey > 0 && mine >= openPerKey) return yield* tooMany("This key", mine)
    if (openPerOwner > 0 && open.length >= openPerOwner) {
      return yield* tooMany("This account", open.length)
    }
  })
})

const tooMany = (who: string, open: number) =>
  refuse("rate_limited", `${who} has as many deployments under way as it may: ${open}.`, {
    next: `Wait for some of them with wait_for_deployment, or ${retryAfter} seconds, then try again.`,
    retry_after: retryAfter
  })
