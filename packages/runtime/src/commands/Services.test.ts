import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Accounts } from "@deploy-mcp/domain/commands/Accounts"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import { type CreateService, Services } from "@deploy-mcp/domain/commands/Services"
import {
  IdempotencyKey,
  ProjectName,
  RepositoryName,
  RepositoryRef,
  ServiceName,
  VariableName
} from "@deploy-mcp/domain/model/Names"
import { Principal, type Scope } from "@deploy-mcp/domain/model/Principal"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, type Scope as Scopes } from "effect"
import { testing } from "../compositions/testing.ts"
import { GitAccess } from "../http/GitAccess.ts"
import { eachDatabase } from "../store/testing/Databases.ts"
import { FirstOwner, layer as firstOwner } from "./FirstOwner.ts"

/** A fresh platform with its first owner; `as` runs commands with the owner's key or another one. */
const platform = Effect.gen(function* () {
  const { keyFile, name } = yield* FirstOwner
  const accounts = yield* Accounts
  const as =
    (secret: string) =>
    <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.flatMap(accounts.authenticate(Redacted.make(secret)), (principal) =>
        Effect.provideService(effect, Principal, principal)
      )
  const secret = readFileSync(keyFile ?? "", "utf8").trim()
  return { accounts, services: yield* Services, name, keyFile: keyFile ?? "", secret, as }
})

const databases = eachDatabase()

/** Runs `test` against a platform of its own, on one database after the other. */
const against = <A, E>(test: (home: string) => Effect.Effect<A, E, Provided | Scopes.Scope>) =>
  Effect.forEach(
    databases,
    (fresh) =>
      Effect.acquireUseRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "commands-"))),
        (home) =>
          Effect.scoped(test(home)).pipe(
            Effect.provide(
              firstOwner.pipe(Layer.provideMerge(testing(home, { databaseUrl: fresh() })))
            )
          ),
        (home) => Effect.sync(() => rmSync(home, { recursive: true, force: true }))
      ),
    { discard: true }
  )
type Provided =
  | Effect.Services<typeof platform>
  | Layer.Services<typeof firstOwner>
  | Repositories
  | GitAccess

const web = ServiceName.make("web")
const spec: CreateService = {
  name: web,
  repo: RepositoryRef.make("web"),
  settings: {},
  variables: { [VariableName.make("TOKEN")]: Redacted.make("s3cret-value") }
}
const codeOf = Effect.map(
  (error: { readonly failure: { readonly code: string } }) => error.failure.code
)

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
        assert.strictEqual((yield* owner(services.list({}))).length, 1)
      })
    )
  )

  it.live("gives a name of the platform's own, or one of another service, a longer hostname", () =>
    against(() =>
      Effect.gen(function* () {
        const { as, secret, services } = yield* platform
        const owner = as(secret)
        const api = yield* owner(services.create({ ...spec, name: ServiceName.make("api") }))
        assert.match(api.service.url, /^http:\/\/api-[0-9a-z]{5}\.localhost:8080$/)
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
        assert.deepStrictEqual(yield* as(secret)(services.list({})), [])
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

describe("keys", () => {
  it.live("the first one is in a file that only its owner reads, and opens the platform", () =>
    against(() =>
      Effect.gen(function* () {
        const { as, keyFile, name, secret } = yield* platform
        assert.strictEqual(statSync(keyFile).mode & 0o777, 0o600)
        assert.match(secret, /^dk_live_[0-9A-Za-z]{43}$/)
        const accounts = yield* Accounts
        assert.strictEqual((yield* as(secret)(accounts.whoami)).owner, name)
        const later = yield* Layer.build(Layer.fresh(firstOwner))
        assert.isNull(Context.get(later, FirstOwner).keyFile)
      })
    )
  )

  it.live("can only shrink, and end at once when they are revoked", () =>
    against(() =>
      Effect.gen(function* () {
        const { accounts, as, secret } = yield* platform
        const scopes: ReadonlyArray<Scope> = ["services:read", "keys:manage"]
        const weak = yield* as(secret)(
          accounts.createKey({ name: "weak", scopes, expiresInDays: 1 })
        )
        const more = accounts.createKey({ name: "more", scopes: ["services:delete"] })
        assert.strictEqual(yield* codeOf(Effect.flip(as(weak.secret)(more))), "forbidden")
        const child = yield* as(weak.secret)(
          accounts.createKey({ name: "child", expiresInDays: 99 })
        )
        assert.strictEqual(child.key.expires_at, weak.key.expires_at)
        yield* as(secret)(accounts.revokeKey({ name: "weak" }))
        assert.strictEqual(
          yield* codeOf(Effect.flip(as(weak.secret)(accounts.whoami))),
          "unauthorized"
        )
      })
    )
  )

  it.live("that are wrong are refused, and soon not even compared", () =>
    against(() =>
      Effect.gen(function* () {
        const { accounts, secret } = yield* platform
        const wrong = `${secret.slice(0, -1)}${secret.endsWith("a") ? "b" : "a"}`
        const codes = new Set<string>()
        for (let attempt = 0; attempt < 12; attempt++) {
          codes.add(yield* codeOf(Effect.flip(accounts.authenticate(Redacted.make(wrong)))))
        }
        assert.deepStrictEqual([...codes], ["unauthorized", "rate_limited"])
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
