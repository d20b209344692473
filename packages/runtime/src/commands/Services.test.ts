import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import type { CreateService } from "@deploy-mcp/domain/commands/Services"
import {
  IdempotencyKey,
  ProjectName,
  RepositoryName,
  RepositoryRef,
  ServiceName,
  VariableName
} from "@deploy-mcp/domain/model/Names"
import type { Scope } from "@deploy-mcp/domain/model/Principal"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { GitAccess } from "../http/GitAccess.ts"
import { against, codeOf, platform } from "./testing/KeyWorld.ts"

const web = ServiceName.make("web")
const spec: CreateService = {
  name: web,
  repo: RepositoryRef.make("web"),
  settings: {},
  variables: { [VariableName.make("TOKEN")]: Redacted.make("s3cret-value") }
}
describe("create_service", () => {
  it.live(
    "twice with the same spec is one service; with another it is a conflict that shows it",
    () =>
      against(() =>
        Effect.gen(function* () {
          const { as, secret, services } = yield* platform
          const owner = as(secret)
          const first = yield* owner(services.create(spec))
          const again = yield* owner(services.create(spec))
          assert.deepStrictEqual([first.created, again.created], [true, false])
          assert.strictEqual(first.service.url, "http://web.localhost:8080")
          const other = yield* Effect.flip(
            owner(services.create({ ...spec, settings: { memory: 512 } }))
          )
          assert.strictEqual(other.failure.code, "name_taken")
          assert.include(JSON.stringify(other.failure.current), '"memory":256')
          const secretChanged = { [VariableName.make("TOKEN")]: Redacted.make("other") }
          const changed = Effect.flip(owner(services.create({ ...spec, variables: secretChanged })))
          assert.strictEqual((yield* changed).failure.code, "name_taken")
          assert.notInclude(JSON.stringify(other.failure), "s3cret")
        })
      )
  )

  it.live("with an idempotency key is the same request or a conflict", () =>
    against(() =>
      Effect.gen(function* () {
        const { as, secret, services } = yield* platform
        const owner = as(secret)
        const idempotencyKey = IdempotencyKey.make("k-1")
        yield* owner(services.create({ ...spec, idempotencyKey }))
        assert.isFalse((yield* owner(services.create({ ...spec, idempotencyKey }))).created)
        const other = ServiceName.make("other")
        const conflict = owner(services.create({ ...spec, name: other, idempotencyKey }))
        assert.strictEqual(yield* codeOf(Effect.flip(conflict)), "idempotency_conflict")
        assert.strictEqual((yield* owner(services.list({ limit: 9 }))).total, 1)
      })
    )
  )

  it.live("is listed page by page, by name and then by project", () =>
    against(() =>
      Effect.gen(function* () {
        const { accounts, as, secret, services } = yield* platform
        const owner = as(secret)
        const shop = ProjectName.make("shop")
        yield* owner(accounts.ensureProject({ name: shop }))
        for (const name of ["b", "a-b", "a", "c"].map((name) => ServiceName.make(name))) {
          yield* owner(services.create({ ...spec, name }))
        }
        yield* owner(services.create({ ...spec, name: ServiceName.make("a"), project: shop }))
        const seen: Array<string> = []
        let after: { readonly name: string; readonly project: string } | undefined
        for (let more = true; more; ) {
          const page = yield* owner(
            services.list({ limit: 2, ...(after === undefined ? {} : { after }) })
          )
          assert.strictEqual(page.total, 5)
          seen.push(...page.services.map(({ name, project }) => `${name}/${project}`))
          after = page.services.at(-1)
          more = page.more
        }
        assert.strictEqual(seen.length, 5)
        assert.sameMembers(seen, ["a/default", "a/shop", "a-b/default", "b/default", "c/default"])
        assert.deepStrictEqual(
          seen.filter((one) => one.startsWith("a/")),
          ["a/default", "a/shop"]
        )
        const one = yield* owner(services.list({ limit: 9, project: shop }))
        assert.deepStrictEqual([one.total, one.services.length, one.more], [1, 1, false])
      })
    )
  )

  it.live("gives a name of the platform's own, or one of another service, a longer hostname", () =>
    against(() =>
      Effect.gen(function* () {
        const { as, secret, services } = yield* platform
        const owner = as(secret)
        const api = yield* owner(services.create({ ...spec, name: ServiceName.make("api") }))
        assert.match(api.service.url ?? "", /^http:\/\/api-[0-9a-z]{5}\.localhost:8080$/)
        yield* owner(services.create(spec))
        yield* owner(services.remove({ name: web }))
        const again = yield* owner(services.create(spec))
        assert.strictEqual(again.service.url, "http://web.localhost:8080")
      })
    )
  )

  it.live("names what is wrong with its arguments and makes nothing", () =>
    against(() =>
      Effect.gen(function* () {
        const { as, secret, services } = yield* platform
        const create = (change: Partial<CreateService>) =>
          codeOf(Effect.flip(as(secret)(services.create({ ...spec, ...change }))))
        const reserved = { [VariableName.make("PORT")]: Redacted.make("1") }
        const large = { [VariableName.make("BIG")]: Redacted.make("x".repeat(40_000)) }
        assert.deepStrictEqual(
          [
            yield* create({ variables: reserved }),
            yield* create({ variables: large }),
            yield* create({ project: ProjectName.make("nowhere") }),
            yield* create({ host: "example.org" }),
            yield* create({ repo: RepositoryRef.make("somebody-else/web") })
          ],
          [
            "variable_reserved",
            "limit_reached",
            "unknown_project",
            "unknown_host",
            "repository_missing"
          ]
        )
        assert.deepStrictEqual(yield* as(secret)(services.list({ limit: 9 })), {
          services: [],
          total: 0,
          more: false
        })
      })
    )
  )

  it.live("masks values, and shows them only to a key that may read them", () =>
    against((home) =>
      Effect.gen(function* () {
        const { accounts, as, secret, services } = yield* platform
        const owner = as(secret)
        yield* owner(services.create(spec))
        const describe = (includeEnv: boolean) =>
          services.describe({ name: web, includeEnv, deployLogLines: 5, runtimeLogLines: 5 })
        const scopes: ReadonlyArray<Scope> = ["services:read"]
        const weak = yield* owner(accounts.createKey({ name: "reader", scopes }))
        assert.strictEqual((yield* owner(describe(false))).env[0]?.value, "••••••")
        assert.strictEqual((yield* owner(describe(true))).env[0]?.value, "s3cret-value")
        assert.strictEqual(yield* codeOf(Effect.flip(as(weak.secret)(describe(true)))), "forbidden")
        for (const file of readdirSync(home, { recursive: true, withFileTypes: true })) {
          if (!file.isFile()) continue
          assert.isFalse(readFileSync(join(file.parentPath, file.name)).includes("s3cret-value"))
        }
      })
    )
  )
})

describe("git tokens", () => {
  it.live("open one repository for what they were made for", () =>
    against(() =>
      Effect.gen(function* () {
        const { as, name, secret } = yield* platform
        const repositories = yield* Repositories
        const access = yield* GitAccess
        const owner = as(secret)
        yield* owner(repositories.create({ name: RepositoryName.make("one") }))
        yield* owner(repositories.create({ name: RepositoryName.make("two") }))
        const token = (access: "read" | "write") =>
          owner(repositories.token({ name: RepositoryRef.make("one"), access }))
        const read = Redacted.make((yield* token("read")).token)
        const write = Redacted.make((yield* token("write")).token)
        yield* access.authorize(name, "one", write, "write")
        yield* access.authorize(name, "one", read, "read")
        yield* access.authorize(name, "two", Redacted.make(secret), "write")
        const refused = (repo: string, token: Redacted.Redacted | null, want: "read" | "write") =>
          codeOf(Effect.flip(access.authorize(name, repo, token, want)))
        assert.deepStrictEqual(
          [
            yield* refused("one", null, "read"),
            yield* refused("one", read, "write"),
            yield* refused("two", write, "read"),
            yield* refused("none", write, "read"),
            yield* refused("one", Redacted.make("mlg_wrong"), "read")
          ],
          ["unauthorized", "forbidden", "not_found", "not_found", "unauthorized"]
        )
      })
    )
  )
})
