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

/** The file of a checkout that names its commit. */
export const commitNote = ".commit"

type Files = Readonly<Record<string, string>>

/** What a test does to the world that the double keeps; it outlives the provider. */
export class GitWorld extends Context.Service<
  GitWorld,
  {
    /** Equal files give equal commits, so that a branch can go back to an older one. */
    readonly commit: (repository: RepositoryId, branch: BranchName, files: Files) => CommitSha
    readonly repositories: Map<RepositoryId, Kept>
  }
>()("@deploy-mcp/providers/GitWorld") {
  static readonly layer = Layer.sync(GitWorld, () => {
    const repositories = new Map<RepositoryId, Kept>()
    return {
      repositories,
      commit: (repository, branch, files) => {
        const sha = CommitSha.make(createHash("sha1").update(JSON.stringify(files)).digest("hex"))
        const known = repositories.get(repository) ?? empty()
        repositories.set(repository, known)
        known.commits.set(sha, files)
        known.branches.delete(branch)
        known.branches.set(branch, sha)
        return sha
      }
    }
  })
}

interface Kept {
  readonly branches: Map<BranchName, CommitSha>
  readonly commits: Map<CommitSha, Files>
}

const empty = (): Kept => ({ branches: new Map(), commits: new Map() })

export const provider: Layer.Layer<Git, never, GitWorld> = Layer.effect(
  Git,
  Effect.map(GitWorld, ({ commit, repositories }) => {
    return Git.of({
      ensureRepository: (repository) =>
        Effect.sync(() => {
          if (!repositories.has(repository.id)) repositories.set(repository.id, empty())
        }),
      removeRepository: (repository) => Effect.sync(() => void repositories.delete(repository.id)),
      kept: Effect.sync(() =>
        [...repositories].map(([id, { commits }]) => ({ id, at: 0, onlyHere: commits.size > 0 }))
      ),
      head: (repository, branch) =>
        Effect.sync(() => repositories.get(repository.id)?.branches.get(branch) ?? null),
      branches: (repository) =>
        Effect.sync(() =>
          [...(repositories.get(repository.id)?.branches ?? [])]
            .map(([branch, commit]) => ({ branch, commit }))
            .reverse()
        ),
      checkout: (repository, commit, directory) =>
        Effect.suspend(() => {
          const files = repositories.get(repository.id)?.commits.get(commit)
          if (files === undefined) {
            const failure = Failure.of("branch_missing", `There is no commit ${commit}.`)
            return Effect.fail(new GitError({ reason: new Rejected({ failure }) }))
          }
          rmSync(directory, { recursive: true, force: true })
          for (const [name, text] of Object.entries({ [commitNote]: commit, ...files })) {
            mkdirSync(dirname(join(directory, name)), { recursive: true })
            writeFileSync(join(directory, name), text)
          }
          return Effect.void
        }),
      commit: (repository, branch, files) =>
        Effect.suspend(() => {
          if (!repositories.has(repository.id)) {
            const failure = Failure.of("repository_missing", "This repository does not exist.")
            return Effect.fail(new GitError({ reason: new Rejected({ failure }) }))
          }
          const text = new TextDecoder()
          const named = files.map(({ path, content }) => [path, text.decode(content)] as const)
          return Effect.succeed(commit(repository.id, branch, Object.fromEntries(named)))
        }),
      bytes: (repository) =>
        Effect.sync(() => {
          const commits = repositories.get(repository.id)?.commits.values() ?? []
          const texts = [...commits].flatMap((files) => Object.values(files))
          return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
        }),
      exchange: () =>
        Effect.fail(new GitError({ reason: new Unsupported({ feature: "git over HTTP" }) }))
    })
  })
)

export const layer: Layer.Layer<Git | GitWorld> = provider.pipe(Layer.provideMerge(GitWorld.layer))
