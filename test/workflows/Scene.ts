/** One owner, one repository and what a test does to them, over the whole control plane in memory. */
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { Ids, KeyId, type RepositoryId } from "@deploy-mcp/domain/model/Ids"
import {
  BranchName,
  defaultBranch,
  OwnerName,
  RepositoryName,
  RepositoryRef,
  ServiceName
} from "@deploy-mcp/domain/model/Names"
import { allScopes, Principal } from "@deploy-mcp/domain/model/Principal"
import { NodeWorld } from "@deploy-mcp/providers/deploy/memory/DeployMemory"
import { GitWorld } from "@deploy-mcp/providers/git/memory/GitMemory"
import { GitAccess } from "@deploy-mcp/runtime/http/GitAccess"
import { AccountStore } from "@deploy-mcp/runtime/store/AccountStore"
import { RepositoryStore } from "@deploy-mcp/runtime/store/RepositoryStore"
import { Effect, Option, Stream } from "effect"

export const web = ServiceName.make("web")
export const main = defaultBranch
const repo = RepositoryName.make("web")

/** The pieces a test needs, bound to a fresh owner. */
export const scene = Effect.gen(function* () {
  const accounts = yield* AccountStore
  const services = yield* Services
  const deployments = yield* Deployments
  const repositories = yield* Repositories
  const repositoryStore = yield* RepositoryStore
  const access = yield* GitAccess
  const git = yield* GitWorld
  const node = yield* NodeWorld
  const ids = yield* Ids

  const ownerName = OwnerName.make("calm-otter")
  const { owner, user } = yield* accounts.addOwner(ownerName)
  const principal = {
    owner,
    ownerName,
    user,
    key: KeyId.make(yield* ids.next("key")),
    scopes: allScopes,
    project: null
  }
  const asOwner = Effect.provideService(Principal, principal)
  yield* asOwner(repositories.create({ name: repo }))
  const row = yield* repositoryStore.find(owner, { host: "internal", owner: ownerName, name: repo })
  const repository: RepositoryId = Option.getOrThrow(row).id

  return {
    asOwner,
    node,
    commit: (files: Record<string, string>, branch: BranchName = main) =>
      git.commit(repository, branch, files),
    /** What git does after a push; returns the lines that the pusher sees. */
    hint: (branch: BranchName = main) =>
      access
        .pushed(repository, [
          { branch, to: git.commit(repository, BranchName.make("scratch"), {}) }
        ])
        .pipe(Stream.runCollect),
    create: (name: ServiceName = web, branch: BranchName = main) =>
      asOwner(
        services.create({
          name,
          repo: RepositoryRef.make(repo),
          branch,
          settings: {},
          variables: {}
        })
      ),
    remove: (name: ServiceName = web) => asOwner(services.remove({ name })),
    redeploy: (name: ServiceName = web) => asOwner(services.redeploy({ name })),
    list: (name: ServiceName = web) => asOwner(deployments.list({ name, limit: 1000 })),
    /** The newest deployment once it has ended. */
    settled: (name: ServiceName = web, number?: number) =>
      asOwner(
        deployments.wait({
          name,
          timeoutMs: 20_000,
          onChange: () => Effect.void,
          ...(number === undefined ? {} : { number })
        })
      ).pipe(Effect.map(({ deployment }) => deployment))
  }
})
export type Scene = Effect.Success<typeof scene>
