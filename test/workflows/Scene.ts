/** One owner, one repository and what a test does to them, over the whole control plane in memory. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { Services } from "@deploy-mcp/domain/commands/Services"
import {
  type DeploymentId,
  Ids,
  KeyId,
  type RepositoryId,
  UserId
} from "@deploy-mcp/domain/model/Ids"
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
import { type TestingOptions, testing } from "@deploy-mcp/runtime/compositions/testing"
import { GitAccess } from "@deploy-mcp/runtime/http/GitAccess"
import { AccountStore } from "@deploy-mcp/runtime/store/AccountStore"
import { DeploymentStore } from "@deploy-mcp/runtime/store/DeploymentStore"
import { RepositoryStore } from "@deploy-mcp/runtime/store/RepositoryStore"
import { ServiceStore } from "@deploy-mcp/runtime/store/ServiceStore"
import type { FreshDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { DeployService } from "@deploy-mcp/runtime/workflows/DeployService"
import { Effect, type Layer, Option, Schedule, Stream } from "effect"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"

export type Between = TestingOptions["between"]

export const web = ServiceName.make("web")
export const main = defaultBranch
const repo = RepositoryName.make("web")

/** Runs `test` against a control plane of its own; `between` may stand around each step. */
export const againstOn =
  (fresh: FreshDatabase) =>
  <A, E>(
    test: Effect.Effect<A, E, Layer.Success<ReturnType<typeof testing>>>,
    options: Pick<
      TestingOptions,
      "artifactQuota" | "between" | "publicGit" | "runner" | "trashRetention"
    > = {}
  ) =>
    Effect.gen(function* () {
      const home = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-scene-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      const databaseUrl = yield* Effect.sync(fresh)
      return yield* test.pipe(Effect.provide(testing(home, { databaseUrl, ...options })))
    }).pipe(Effect.scoped)
export type Against = ReturnType<typeof againstOn>

/** The pieces a test needs, bound to a fresh owner. */
export const scene = Effect.gen(function* () {
  const accounts = yield* AccountStore
  const services = yield* Services
  const deployments = yield* Deployments
  const repositories = yield* Repositories
  const repositoryStore = yield* RepositoryStore
  const serviceStore = yield* ServiceStore
  const deploymentStore = yield* DeploymentStore
  const engine = yield* WorkflowEngine
  const access = yield* GitAccess
  const git = yield* GitWorld
  const node = yield* NodeWorld
  const ids = yield* Ids

  const ownerName = OwnerName.make("calm-otter")
  const known = yield* accounts.firstOwner
  const owner = Option.isSome(known) ? known.value.id : (yield* accounts.addOwner(ownerName)).owner
  const principal = {
    owner,
    ownerName,
    user: UserId.make(yield* ids.next("usr")),
    key: KeyId.make(yield* ids.next("key")),
    scopes: allScopes,
    project: null
  }
  const asOwner = Effect.provideService(Principal, principal)
  yield* asOwner(repositories.create({ name: repo }))
  const row = yield* repositoryStore.find(owner, { host: "internal", owner: ownerName, name: repo })
  const repository: RepositoryId = Option.getOrThrow(row).id

  return {
    owner,
    asOwner,
    node,
    commit: (files: Record<string, string>, branch: BranchName = main) =>
      git.commit(repository, branch, files),
    /** What git does after a push; returns the lines that the pusher sees. */
    hint: (branch: BranchName = main) =>
      access
        .pushed(owner, repository, [
          { branch, to: git.commit(repository, BranchName.make("scratch"), {}) }
        ])
        .pipe(Stream.runCollect),
    create: (name: ServiceName = web, branch?: BranchName, from: string = repo) =>
      asOwner(
        services.create({
          name,
          repo: RepositoryRef.make(from),
          ...(branch === undefined ? {} : { branch }),
          settings: {},
          variables: {}
        })
      ),
    remove: (name: ServiceName = web) => asOwner(services.remove({ name })),
    redeploy: (name: ServiceName = web) => asOwner(services.redeploy({ name })),
    list: (name: ServiceName = web) => asOwner(deployments.list({ name, limit: 1000 })),
    /** A deployment's row, by its number. */
    row: (number: number) =>
      Effect.gen(function* () {
        const service = yield* serviceStore.page({ owner, project: null, after: null, limit: 1 })
        const stage = Option.getOrThrow(Option.fromNullishOr(service[0])).stageId
        return Option.getOrThrow(yield* deploymentStore.byNumber(owner, stage, number))
      }),
    /** Until the workflow of a deployment has run to its end, undo included. */
    quiet: (id: DeploymentId) =>
      engine.poll(DeployService, id).pipe(
        Effect.repeat({
          schedule: Schedule.spaced("5 millis"),
          until: (result) => Option.isSome(result) && result.value._tag === "Complete"
        }),
        Effect.timeout("10 seconds"),
        Effect.asVoid
      ),
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
