/** Repositories in memory, for tests: branches are maps, commits are files. Speaks no protocol. */
import { createHash } from "node:crypto"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Failure } from "@deploy-mcp/domain/Failure"
import { Rejected, Unsupported } from "@deploy-mcp/domain/Fault"
import { Git, GitError } from "@deploy-mcp/domain/Git"
import type { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { type BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import { Context, Effect, Layer } from "effect"

type Files = Readonly<Record<string, string>>

/** What a test does to the world that the double keeps. */
export class GitWorld extends Context.Service<
  GitWorld,
  {
    /** Equal files give equal commits, so that a branch can go back to an older one. */
    readonly commit: (repository: RepositoryId, branch: BranchName, files: Files) => CommitSha
  }
>()("@deploy-mcp/providers/GitWorld") {}

export const layer: Layer.Layer<Git | GitWorld> = Layer.effectContext(
  Effect.sync(() => {
    const repositories = new Map<RepositoryId, Map<BranchName, CommitSha>>()
    const commits = new Map<CommitSha, Files>()
    const branchesOf = (repository: RepositoryId) => {
      const known = repositories.get(repository) ?? new Map<BranchName, CommitSha>()
      repositories.set(repository, known)
      return known
    }
    const world = GitWorld.of({
      commit: (repository, branch, files) => {
        const sha = CommitSha.make(createHash("sha1").update(JSON.stringify(files)).digest("hex"))
        commits.set(sha, files)
        branchesOf(repository).set(branch, sha)
        return sha
      }
    })
    const git = Git.of({
      ensureRepository: (repository) => Effect.sync(() => void branchesOf(repository)),
      removeRepository: (repository) => Effect.sync(() => void repositories.delete(repository)),
      head: (repository, branch) =>
        Effect.sync(() => repositories.get(repository)?.get(branch) ?? null),
      branches: (repository) =>
        Effect.sync(() =>
          [...branchesOf(repository)].map(([branch, commit]) => ({ branch, commit }))
        ),
      checkout: (_, commit, directory) =>
        Effect.suspend(() => {
          const files = commits.get(commit)
          if (files === undefined) {
            const failure = Failure.of("branch_missing", `There is no commit ${commit}.`)
            return Effect.fail(new GitError({ reason: new Rejected({ failure }) }))
          }
          rmSync(directory, { recursive: true, force: true })
          for (const [name, text] of Object.entries({ ".commit": commit, ...files })) {
            mkdirSync(dirname(join(directory, name)), { recursive: true })
            writeFileSync(join(directory, name), text)
          }
          return Effect.void
        }),
      exchange: () =>
        Effect.fail(new GitError({ reason: new Unsupported({ feature: "git over HTTP" }) }))
    })
    return Context.make(Git, git).pipe(Context.add(GitWorld, world))
  })
)
