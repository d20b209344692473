import {
  defaultBranch,
  defaultProject,
  OwnerName,
  RepositoryName,
  ServiceName
} from "@deploy-mcp/domain/model/Names"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Ids from "../Ids.ts"
import { AccountStore } from "../store/AccountStore.ts"
import * as Migrations from "../store/Migrations.ts"
import { forPlatform } from "../store/Owned.ts"
import { RepositoryStore } from "../store/RepositoryStore.ts"
import { ServiceStore } from "../store/ServiceStore.ts"
import * as Sqlite from "../store/Sqlite.ts"
import * as InUse from "./InUse.ts"

const named = (...names: ReadonlyArray<string>) => ({
  instances: names.map((name) => ({ name, own: {} }))
})
const all = { git: named("internal"), build: named("local"), deploy: named("local", "docker") }

const stores = Layer.mergeAll(AccountStore.layer, RepositoryStore.layer, ServiceStore.layer).pipe(
  Layer.provideMerge(Migrations.layer),
  Layer.provideMerge(Ids.layer),
  Layer.provideMerge(Sqlite.layer(":memory:"))
)

/** One service on each of these deploy instances, all from one repository. */
const filled = Effect.fnUntraced(function* (deploys: ReadonlyArray<string>) {
  const services = yield* ServiceStore
  const accounts = yield* AccountStore
  const { owner } = yield* accounts.addOwner(OwnerName.make("calm-otter"))
  const project = Option.getOrThrow(yield* accounts.project(owner, defaultProject))
  const identity = { host: "internal", owner: "calm-otter", name: RepositoryName.make("web") }
  yield* (yield* RepositoryStore).add(owner, identity, "", "internal")
  for (const [index, deployInstance] of deploys.entries()) {
    yield* services.add({
      owner,
      project,
      name: ServiceName.make(`web-${index}`),
      repository: identity,
      branch: defaultBranch,
      settings: { build_pack: "auto", memory: 256, cpu: 1 },
      label: `web-${index}`,
      buildInstance: "local",
      deployInstance
    })
  }
})

const check = (there: typeof all) => Layer.build(forPlatform(InUse.layer("deploy-mcp.toml", there)))

it.effect("instances that nothing uses may go, and those that are used may stay", () =>
  Effect.gen(function* () {
    yield* filled(["local"])
    yield* check(all)
    yield* check({ ...all, deploy: named("local") })
  }).pipe(Effect.provide(stores))
)

it.effect("an instance that is used may not go, even by a service in the trash", () =>
  Effect.gen(function* () {
    const sql = yield* SqlClient
    yield* filled(["local", "docker", "docker"])
    yield* sql`UPDATE services SET trashed_at = 1 WHERE name = 'web-1'`
    const { message } = yield* Effect.flip(check({ ...all, deploy: named("local") }))
    assert.strictEqual(
      message,
      "deploy-mcp.toml: [deploy.docker] is not there any more, but 2 services use it (1 in the trash). Put [deploy.docker] back; take it away when nothing uses it, which includes the trash."
    )
  }).pipe(Effect.provide(stores))
)

it.effect("each one that is missing is named", () =>
  Effect.gen(function* () {
    yield* filled(["local"])
    const none = named("other")
    const { message } = yield* Effect.flip(check({ git: none, build: none, deploy: none }))
    assert.deepStrictEqual(
      message.split("\n").map((line) => /\[.*?use?s it/u.exec(line)?.[0]),
      [
        "[git.internal] is not there any more, but 1 repository uses it",
        "[build.local] is not there any more, but 1 service uses it",
        "[deploy.local] is not there any more, but 1 service uses it"
      ]
    )
  }).pipe(Effect.provide(stores))
)
