/** Whose rows a statement sees and changes, and what does not compile because nobody says whose. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Artifact, ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import type { DeploymentId, OwnerId, StageId } from "@deploy-mcp/domain/model/Ids"
import {
  BranchName,
  CommitSha,
  defaultProject,
  OwnerName,
  RepositoryName,
  ServiceName
} from "@deploy-mcp/domain/model/Names"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { assert } from "vitest"
import * as Ids from "../Ids.ts"
import { AccountStore } from "./AccountStore.ts"
import * as Database from "./Database.ts"
import { DeploymentStore } from "./DeploymentStore.ts"
import type { IdempotencyStore } from "./IdempotencyStore.ts"
import * as Migrations from "./Migrations.ts"
import { EveryOwner, forCallers, ownedRows, ownedTables, type Whose } from "./Owned.ts"
import { ReleaseStore } from "./ReleaseStore.ts"
import { RepositoryStore } from "./RepositoryStore.ts"
import { ServiceStore } from "./ServiceStore.ts"
import type { TrashStore } from "./TrashStore.ts"
import { onEachDatabase } from "./testing/Databases.ts"
import type { UsageStore } from "./UsageStore.ts"

/** What holds others comes after them. */
const tables = [
  "idempotency",
  "releases",
  "deployment_phases",
  "deployment_retries",
  "deployments",
  "variables",
  "hostnames",
  "stages",
  "services",
  "repository_tokens",
  "repositories",
  "keys",
  "projects",
  "users"
] as const

onEachDatabase((fresh) => {
  it.live("an owner's id sees and changes that owner's rows in every table, and no others", () =>
    inHome((home) =>
      Effect.gen(function* () {
        yield* Migrations.run
        const sql = yield* SqlClient
        assert.sameMembers([...tables], [...ownedTables])
        const [mine, other, all] = [
          yield* filled("calm-otter"),
          yield* filled("brave-otter"),
          yield* EveryOwner
        ]
        const rowsOf = ownedRows(sql)
        const seen = (whose: Whose, table: (typeof tables)[number]) =>
          Effect.map(sql`SELECT 1 AS one FROM ${rowsOf(whose).from(table)}`, (rows) => rows.length)
        for (const table of tables) {
          const column = sql.literal(table === "deployment_phases" ? "phase" : "owner_id")
          const [theirs, everyones] = [yield* seen(other, table), yield* seen(all, table)]
          assert.isAbove(theirs, 0, table)
          const same = sql`${column} = ${column}`
          const touched = yield* sql`${rowsOf(mine).update(table, same)} RETURNING 1 AS one`
          assert.strictEqual(touched.length, everyones - theirs, table)
          const gone = yield* sql`${rowsOf(mine).remove(table)} RETURNING 1 AS one`
          assert.strictEqual(gone.length, everyones - theirs, table)
          assert.strictEqual(yield* seen(mine, table), 0, table)
          assert.strictEqual(yield* seen(other, table), theirs, table)
          assert.strictEqual(yield* seen(all, table), theirs, table)
        }
      }).pipe(Effect.provide(stores(home, fresh())))
    )
  )

  it.live("every table whose rows have an owner is among those that are asked whose", () =>
    inHome((home) =>
      Effect.gen(function* () {
        yield* Migrations.run
        const sql = yield* SqlClient
        const found = yield* sql.onDialectOrElse({
          pg: () => sql<{ name: string }>`SELECT table_name::text AS name
            FROM information_schema.columns WHERE column_name = 'owner_id'`,
          orElse: () => sql<{ name: string }>`SELECT tables.name FROM sqlite_master AS tables,
            pragma_table_info(tables.name) AS columns WHERE columns.name = 'owner_id'`
        })
        const names = found.map(({ name }) => name)
        assert.sameMembers([...names, "deployment_phases"], [...ownedTables])
      }).pipe(Effect.provide(stores(home, fresh())))
    )
  )
})

/** Members that take neither an owner's id, nor something that has one, nor the right to see all. */
type Ownerless<Store> = {
  [Name in keyof Store]: Store[Name] extends (first: infer First, ...rest: never) => unknown
    ? [First] extends [Whose | { readonly owner: OwnerId } | { readonly ownerId: OwnerId }]
      ? never
      : Name
    : Name
}[keyof Store]

const same =
  <A>() =>
  <B>(_: [A, B] extends [B, A] ? "same" : "not the same") =>
    undefined

it("what names no owner does not compile", () => {
  same<Ownerless<AccountStore["Service"]>>()<"firstOwner" | "addOwner">("same")
  same<Ownerless<DeploymentStore["Service"]>>()<never>("same")
  same<Ownerless<IdempotencyStore["Service"]>>()<never>("same")
  same<Ownerless<ReleaseStore["Service"]>>()<"openEpoch">("same")
  same<Ownerless<RepositoryStore["Service"]>>()<never>("same")
  same<Ownerless<ServiceStore["Service"]>>()<never>("same")
  same<Ownerless<TrashStore["Service"]>>()<never>("same")
  same<Ownerless<UsageStore["Service"]>>()<"database">("same")

  const command = (
    services: ServiceStore["Service"],
    deployments: DeploymentStore["Service"],
    stage: StageId,
    deployment: DeploymentId
  ): Effect.Effect<unknown, never, Principal> =>
    Effect.gen(function* () {
      const { owner, user } = yield* Principal
      yield* services.variables(owner, stage)
      // @ts-expect-error whose?
      yield* services.variables(stage)
      // @ts-expect-error whose?
      yield* deployments.byId(deployment)
      // @ts-expect-error a user is no owner
      yield* deployments.byId(user, deployment)
      // @ts-expect-error and neither is a mere word
      yield* deployments.byId("own_00000000000000000000", deployment)
      // @ts-expect-error the right to see all is not for everybody to make
      yield* services.all({})
    })
  // Who asks for it says so, and a caller's door gives a principal alone.
  const door = (services: ServiceStore["Service"]) => Effect.flatMap(EveryOwner, services.all)
  same<Effect.Services<ReturnType<typeof door>>>()<EveryOwner>("same")
  const layers = () => [
    forCallers(Layer.effectDiscard(ServiceStore)),
    // @ts-expect-error acts for callers, and sees all
    forCallers(Layer.effectDiscard(EveryOwner)),
    // @ts-expect-error acts for callers, and sees tables as they are
    forCallers(Layer.effectDiscard(SqlClient))
  ]
  for (const one of [command, door, layers]) assert.isFunction(one)
})

const stores = (home: string, url: string | undefined) =>
  Layer.mergeAll(
    AccountStore.layer,
    RepositoryStore.layer,
    ServiceStore.layer,
    DeploymentStore.layer,
    ReleaseStore.layer,
    EveryOwner.layer
  ).pipe(
    Layer.provideMerge(Ids.layer),
    Layer.provideMerge(Database.layer(home, url === undefined ? null : Redacted.make(url)))
  )

const inHome = <A, E>(use: (home: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "owned-"))),
    use,
    (home) => Effect.sync(() => rmSync(home, { recursive: true, force: true }))
  )

/** An owner with a row of each kind. */
const filled = Effect.fnUntraced(function* (ownerName: string) {
  const accounts = yield* AccountStore
  const repositories = yield* RepositoryStore
  const services = yield* ServiceStore
  const deployments = yield* DeploymentStore
  const { owner, user } = yield* accounts.addOwner(OwnerName.make(ownerName))
  const project = Option.getOrThrow(yield* accounts.project(owner, defaultProject))
  const secret = { name: "k", prefix: ownerName, hash: ownerName, scopes: [], expiresAt: null }
  yield* accounts.addKey({ owner, user, project: null, ...secret })
  const identity = { host: "internal", owner: ownerName, name: RepositoryName.make("web") }
  yield* repositories.add(owner, identity, "", "internal")
  const { id: repository } = Option.getOrThrow(yield* repositories.find(owner, identity))
  const expiresAt = Number.MAX_SAFE_INTEGER
  yield* repositories.addToken({ owner, repository, hash: ownerName, access: "read", expiresAt })
  const settings = { build_pack: "auto", memory: 256, cpu: 1 } as const
  const { id: service, stage } = yield* services.add({
    owner,
    project,
    name: ServiceName.make("web"),
    repository: identity,
    branch: BranchName.make("main"),
    settings,
    label: ownerName,
    buildInstance: "local",
    deployInstance: "local"
  })
  const value = { name: "A", sealed: "", fingerprint: "", runtimeOnly: false }
  yield* services.putVariable({ owner, stage, ...value })
  const commit = CommitSha.make("a".repeat(40))
  const asked = { settingsRevision: 1, commit, cause: "create", force: false } as const
  const { id } = yield* deployments.request({ owner, service, stage, ...asked })
  yield* deployments.decide(owner, stage)
  yield* deployments.noteRetry(owner, id, "build", "again")
  const artifact: Artifact = {
    key: ArtifactKey.make("a".repeat(64)),
    directory: "",
    bytes: 1,
    runtime: { kind: "static", publish: "." }
  }
  yield* (yield* ReleaseStore).record(yield* deployments.byId(owner, id), artifact, settings, [])
  const sql = yield* SqlClient
  const claim = { command: "c", key: "k", request_hash: "", subject: "", created_at: 0 }
  yield* sql`INSERT INTO idempotency ${sql.insert({ owner_id: owner, ...claim })}`
  return owner
})
