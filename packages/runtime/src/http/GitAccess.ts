/** What the git door asks about a request, answered over the store. */
import type { CommandError } from "@deploy-mcp/domain/Failure"
import type { RefUpdate } from "@deploy-mcp/domain/Git"
import type { OwnerId, RepositoryId } from "@deploy-mcp/domain/model/Ids"
import type { Repository } from "@deploy-mcp/domain/model/Service"
import { Context, type Effect, type Redacted, type Stream } from "effect"

export class GitAccess extends Context.Service<
  GitAccess,
  {
    /**
     * The repository that `token` opens for `access`; `owner` and `repo` are as they stand in the
     * URL, unchecked. Fails with `unauthorized` without a valid token, whether or not the
     * repository exists; with `not_found` when the token has no business with it, the same as when
     * it does not exist; with `forbidden` when the token can read but wants to write.
     */
    readonly authorize: (
      owner: string,
      repo: string,
      token: Redacted.Redacted<string> | null,
      access: "read" | "write"
    ) => Effect.Effect<
      {
        readonly owner: OwnerId
        readonly repository: Repository
        readonly gitInstance: string
      },
      CommandError
    >
    /** Why a push may not add so many bytes to the owner's repositories, as one line; null: it may. */
    readonly objection: (owner: OwnerId, bytes: number) => Effect.Effect<string | null>
    /** Called once after a push has moved branches; its lines are shown while the push waits. */
    readonly pushed: (
      owner: OwnerId,
      repository: RepositoryId,
      updates: ReadonlyArray<RefUpdate>
    ) => Stream.Stream<string>
  }
>()("@deploy-mcp/runtime/http/GitAccess") {}
