/** What git says of the repository and the branch that a service deploys from. */
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import type { Git, GitError } from "@deploy-mcp/domain/Git"
import { Ids, type OwnerId, RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { type BranchName, type CommitSha, defaultBranch } from "@deploy-mcp/domain/model/Names"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import {
  type Repository,
  type RepositoryIdentity,
  repositoryPath
} from "@deploy-mcp/domain/model/Service"
import { Context, Effect, Layer, Option } from "effect"
import { Gits } from "../Instances.ts"
import { Platform } from "../Platform.ts"
import { retried } from "../Retried.ts"
import { RepositoryStore, repositoryIn } from "../store/RepositoryStore.ts"
import { repositoryOf, type ServiceRow } from "../store/ServiceStore.ts"
import { publicGit } from "./Identify.ts"
import { orRefused } from "./Repositories.ts"

export interface Source {
  readonly branch: BranchName
  /** Null: nothing has been pushed yet, or the repository itself is still to be made. */
  readonly commit: CommitSha | null
  /** A repository of another host that has no row yet. */
  readonly unknown: Repository | null
}

export class Sources extends Context.Service<
  Sources,
  {
    /**
     * For a new service: the wanted branch; without one `main`, or the newest branch of a repository
     * that has no `main`. Of another host both must be there.
     */
    readonly choose: (
      identity: RepositoryIdentity,
      wanted: BranchName | undefined
    ) => Effect.Effect<Source, CommandError, Principal>
    /** The newest commit of a branch now; null when there is none, or its host does not answer. */
    readonly newest: (
      service: Pick<ServiceRow, "ownerId" | "repoHost" | "repoOwner" | "repoName">,
      branch: BranchName
    ) => Effect.Effect<CommitSha | null>
    /** The newest commit of the service's branch, or `repository_missing` or `branch_missing`. */
    readonly head: (service: ServiceRow) => Effect.Effect<CommitSha, CommandError>
  }
>()("@deploy-mcp/runtime/Sources") {
  static readonly layer = Layer.effect(
    Sources,
    Effect.gen(function* () {
      const { gitHost } = yield* Platform
      const repositories = yield* RepositoryStore
      const gits = yield* Gits
      const ids = yield* Ids

      const known = (owner: OwnerId, identity: RepositoryIdentity) =>
        Effect.map(
          repositories.find(owner, identity),
          Option.map((row) => ({ repository: repositoryIn(row), git: gits.get(row.gitInstance) }))
        )

      const chooseElsewhere = Effect.fnUntraced(function* (
        repository: Repository,
        git: Git["Service"],
        wanted: BranchName | undefined
      ) {
        yield* orRefused(git.ensureRepository(repository))
        const commit = yield* orRefused(git.head(repository, wanted ?? defaultBranch))
        if (commit !== null) return { branch: wanted ?? defaultBranch, commit }
        const there = yield* orRefused(git.branches(repository))
        const [newest] = wanted === undefined ? there : []
        return newest ?? (yield* noBranch(repository, wanted ?? defaultBranch, there))
      })

      return {
        choose: Effect.fnUntraced(function* (identity, wanted) {
          const principal = yield* Principal
          const found = yield* known(principal.owner, identity)
          if (identity.host !== gitHost) {
            const id = RepositoryId.make(yield* ids.next("rep"))
            const fresh = { repository: { ...identity, id }, git: gits.get(publicGit) }
            const { repository, git } = Option.getOrElse(found, () => fresh)
            const source = yield* chooseElsewhere(repository, git, wanted)
            return { ...source, unknown: Option.isNone(found) ? repository : null }
          }
          const branch = wanted ?? defaultBranch
          if (Option.isNone(found)) return { branch, commit: null, unknown: null }
          const { git, repository } = found.value
          const commit = yield* orRefused(git.head(repository, branch))
          if (commit !== null || wanted !== undefined) return { branch, commit, unknown: null }
          // Only this starts a git.
          const [newest] = yield* orRefused(git.branches(repository))
          return { ...(newest ?? { branch, commit }), unknown: null }
        }),

        newest: Effect.fnUntraced(function* (service, branch) {
          const found = yield* known(service.ownerId, repositoryOf(service))
          if (Option.isNone(found)) return null
          return yield* orNull(found.value.git.head(found.value.repository, branch))
        }),

        head: Effect.fnUntraced(function* (service) {
          const identity = repositoryOf(service)
          const found = yield* known(service.ownerId, identity)
          if (Option.isNone(found)) {
            const path = repositoryPath(identity)
            return yield* refuse("repository_missing", `There is no repository '${path}'.`)
          }
          const { git, repository } = found.value
          const commit = yield* orRefused(git.head(repository, service.branch))
          if (commit !== null) return commit
          return yield* noBranch(
            identity,
            service.branch,
            (yield* orNull(git.branches(repository))) ?? []
          )
        })
      }
    })
  )
}

const orNull = <A>(effect: Effect.Effect<A, GitError>) =>
  Effect.orElseSucceed(retried(effect), () => null)

const noBranch = (
  repository: RepositoryIdentity,
  branch: BranchName,
  there: ReadonlyArray<{ readonly branch: BranchName }>
) =>
  Effect.fail(
    refuse(
      "branch_missing",
      `The repository '${repositoryPath(repository)}' has no branch '${branch}'.`,
      {
        evidence:
          there.length === 0 ? [] : [`branches: ${there.map((one) => one.branch).join(", ")}`]
      }
    )
  )
