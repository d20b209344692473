/** One owner over the whole control plane in memory, and what a test does to it. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Accounts } from "@deploy-mcp/domain/commands/Accounts"
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { PlanOnly } from "@deploy-mcp/domain/commands/Plan"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { type CreateService, Services } from "@deploy-mcp/domain/commands/Services"
import type { CommandError } from "@deploy-mcp/domain/Failure"
import { Ids, KeyId, UserId } from "@deploy-mcp/domain/model/Ids"
import {
  defaultBranch,
  OwnerName,
  RepositoryName,
  RepositoryRef,
  ServiceName,
  VariableName
} from "@deploy-mcp/domain/model/Names"
import { allScopes, Principal } from "@deploy-mcp/domain/model/Principal"
import { NodeWorld } from "@deploy-mcp/providers/deploy/memory/DeployMemory"
import { GitWorld } from "@deploy-mcp/providers/git/memory/GitMemory"
import { Effect, Option, Redacted, Stream } from "effect"
import { testing } from "../../compositions/testing.ts"
import { GitAccess } from "../../http/GitAccess.ts"
import { AccountStore } from "../../store/AccountStore.ts"
import { RepositoryStore } from "../../store/RepositoryStore.ts"
import { eachDatabase } from "../../store/testing/Databases.ts"

export const web = ServiceName.make("web")
export const repo = RepositoryName.make("web")

/** Variables as a caller gives them. */
export const variables = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [VariableName.make(name), Redacted.make(value)])
  )
export const names = (...all: ReadonlyArray<string>) => all.map((name) => VariableName.make(name))

type World = Effect.Success<typeof world>

const databases = eachDatabase()

/** Runs `test` against a control plane of its own, on one database after the other. */
export const against = <A, E>(
  test: (world: World) => Effect.Effect<A, E>,
  trashRetention = 600_000
) =>
  Effect.forEach(
    databases,
    (fresh) =>
      Effect.acquireUseRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-commands-"))),
        (home) =>
          Effect.scoped(Effect.flatMap(world, test)).pipe(
            Effect.provide(testing(home, { trashRetention, databaseUrl: fresh() }))
          ),
        (home) => Effect.sync(() => rmSync(home, { recursive: true, force: true }))
      ),
    { discard: true }
  )

const world = Effect.gen(function* () {
  const accounts = yield* AccountStore
  const store = yield* RepositoryStore
  const services = yield* Services
  const deployments = yield* Deployments
  const repositories = yield* Repositories
  const ids = yield* Ids
  const git = yield* GitWorld
  const access = yield* GitAccess

  const ownerName = OwnerName.make("calm-otter")
  const newOwner = Effect.fnUntraced(function* (name: OwnerName) {
    const { owner } = yield* accounts.addOwner(name)
    const user = UserId.make(yield* ids.next("usr"))
    const key = KeyId.make(yield* ids.next("key"))
    const scopes = allScopes
    const principal = { owner, ownerName: name, user, key, scopes, project: null }
    return { owner, as: Effect.provideService(Principal, principal) }
  })
  const { as: asOwner, owner } = yield* newOwner(ownerName)
  const identity = { host: "internal", owner: ownerName, name: repo }
  const repository = Effect.map(store.find(owner, identity), Option.getOrThrow)
  yield* asOwner(repositories.create({ name: repo }))
  const { id } = yield* repository

  const settled = (number?: number) =>
    asOwner(
      deployments.wait({
        name: web,
        timeoutMs: 20_000,
        onChange: () => Effect.void,
        ...(number === undefined ? {} : { number })
      })
    ).pipe(Effect.map(({ deployment }) => deployment))

  return {
    accounts: yield* Accounts,
    services,
    deployments,
    repositories,
    asOwner,
    /** Somebody else, who comes to the platform now. */
    stranger: newOwner(OwnerName.make("brave-otter")),
    node: yield* NodeWorld,
    /** A new head of `main`. */
    commit: (files: Readonly<Record<string, string>>) => git.commit(id, defaultBranch, files),
    /** What git does after a push of that head. */
    push: (files: Readonly<Record<string, string>>) =>
      access
        .pushed(owner, id, [{ branch: defaultBranch, to: git.commit(id, defaultBranch, files) }])
        .pipe(Stream.runCollect),
    create: (more: Partial<CreateService> = {}) =>
      asOwner(
        services.create({
          name: web,
          repo: RepositoryRef.make("web"),
          settings: {},
          variables: {},
          ...more
        })
      ),
    describe: asOwner(
      services.describe({ name: web, includeEnv: true, deployLogLines: 5, runtimeLogLines: 0 })
    ),
    list: asOwner(deployments.list({ name: web, limit: 100 })),
    /** The newest deployment, or this one, once it has ended. */
    settled
  }
})

/** The code of the failure that a command must end with. */
export const codeOf = <A, R>(command: Effect.Effect<A, CommandError, R>) =>
  Effect.map(Effect.flip(command), ({ failure }) => failure.code)

/** What a command says it would do. */
export const planOf = <A, R>(command: Effect.Effect<A, CommandError, R>) =>
  command.pipe(
    Effect.provideService(PlanOnly, true),
    Effect.flip,
    Effect.map(({ failure }) => (failure.code === "planned" ? failure.evidence : [failure.code]))
  )
