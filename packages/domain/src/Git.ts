/** Repositories, checkouts, pushes. */
import { Context, type Effect, Schema, type Scope, type Stream } from "effect"
import { Fault } from "./Fault.ts"
import type { RepositoryId } from "./model/Ids.ts"
import type { Kept } from "./model/Kept.ts"
import type { BranchName, CommitSha, FilePath } from "./model/Names.ts"
import type { Repository } from "./model/Service.ts"

export class GitError extends Schema.TaggedError<GitError>()("GitError", { reason: Fault }) {
  get isRetryable() {
    return this.reason.isRetryable
  }
}

/** One request of git's smart HTTP protocol that has already been authorised. */
export interface GitExchange {
  readonly repository: Repository
  readonly access: "read" | "write"
  readonly method: "GET" | "POST"
  /** `/info/refs`, `/git-upload-pack` or `/git-receive-pack`; nothing else is served. */
  readonly path: string
  readonly query: string
  readonly contentType: string | undefined
  readonly contentEncoding: string | undefined
  readonly protocol: string | undefined
  readonly body: Stream.Stream<Uint8Array, GitError>
  /**
   * Asked when a push has arrived whole and nothing has moved: why it may not add so many bytes to the
   * repository, in one line for the pusher; null: it may. Absent: any push may.
   */
  readonly objection?: (bytes: number) => Effect.Effect<string | null>
  /**
   * Called once after a push has moved branches; what it emits is shown to the pusher line by line,
   * and the push ends when it ends.
   */
  readonly pushed: (updates: ReadonlyArray<RefUpdate>) => Stream.Stream<string>
}

export interface GitReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Stream.Stream<Uint8Array, GitError>
}

/** A branch that a push moved. Deleted branches have no `to`. */
export interface RefUpdate {
  readonly branch: BranchName
  readonly to: CommitSha | null
}

/** One file of a commit that is made for a caller. */
export interface CommitFile {
  readonly path: FilePath
  readonly content: Uint8Array
  readonly executable?: boolean
}

export interface KeptRepository extends Kept<RepositoryId> {
  /** It has commits that may be nowhere else. False: what is kept is empty, or a copy. */
  readonly onlyHere: boolean
}

export class Git extends Context.Service<
  Git,
  {
    /** Makes an empty repository unless it is there; where nothing can be made, it must be there. */
    readonly ensureRepository: (repository: Repository) => Effect.Effect<void, GitError>
    /** Forgets all that is kept here. Succeeds also when there is nothing to remove. */
    readonly removeRepository: (repository: Repository) => Effect.Effect<void, GitError>
    /** Every repository of which something is kept here, if only what was fetched of it. */
    readonly kept: Effect.Effect<ReadonlyArray<KeptRepository>, GitError>
    /**
     * Bytes that the repository takes here, 0 when it does not exist. What another host has and is kept
     * here only to be quick does not count.
     */
    readonly bytes: (repository: Repository) => Effect.Effect<number, GitError>
    /** The newest commit of a branch now; null when the branch or the repository does not exist. */
    readonly head: (
      repository: Repository,
      branch: BranchName
    ) => Effect.Effect<CommitSha | null, GitError>
    /** Branches with their heads, newest commit first. */
    readonly branches: (
      repository: Repository
    ) => Effect.Effect<ReadonlyArray<{ branch: BranchName; commit: CommitSha }>, GitError>
    /** Writes the files of `commit` (no `.git`) into `directory`, replacing what is there. */
    readonly checkout: (
      repository: Repository,
      commit: CommitSha,
      directory: string
    ) => Effect.Effect<void, GitError>
    /**
     * Makes a commit with exactly these files the head of a branch, after the one that is there. A branch
     * with this content already is left as it is, and its head is the answer.
     */
    readonly commit: (
      repository: Repository,
      branch: BranchName,
      files: ReadonlyArray<CommitFile>,
      message: string
    ) => Effect.Effect<CommitSha, GitError>
    /** Serves one smart HTTP request; closing the scope ends it, wherever it stands. */
    readonly exchange: (exchange: GitExchange) => Effect.Effect<GitReply, GitError, Scope.Scope>
  }
>()("@deploy-mcp/domain/Git") {}
