/** What is promised of keys. */
import { statSync } from "node:fs"
import { Accounts } from "@deploy-mcp/domain/commands/Accounts"
import { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import type { CommandError } from "@deploy-mcp/domain/Failure"
import {
  FilePath,
  ProjectName,
  RepositoryName,
  RepositoryRef,
  ServiceName
} from "@deploy-mcp/domain/model/Names"
import type { Scope } from "@deploy-mcp/domain/model/Principal"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Layer, Redacted } from "effect"
import { GitAccess } from "../http/GitAccess.ts"
import { FirstOwner, layer as firstOwner } from "./FirstOwner.ts"
import { against, codeOf, platform } from "./testing/KeyWorld.ts"

describe("keys", () => {
  it.live("the first one is in a file that only its owner reads, and opens the platform", () =>
    against(() =>
      Effect.gen(function* () {
        const { as, keyFile, name, secret } = yield* platform
        assert.strictEqual(statSync(keyFile).mode & 0o777, 0o600)
        assert.match(secret, /^dk_live_[0-9A-Za-z]{43}$/)
        const accounts = yield* Accounts
        const me = yield* as(secret)(accounts.whoami)
        assert.strictEqual(me.owner, name)
        assert.include(me.platform, "Artifacts have 0 MiB; there is no quota.")
        const later = yield* Layer.build(Layer.fresh(firstOwner))
        assert.isNull(Context.get(later, FirstOwner).keyFile)
      })
    )
  )

  it.live("mint only weaker ones: in what they may do, in which project and for how long", () =>
    against(() =>
      Effect.gen(function* () {
        const { accounts, as, secret } = yield* platform
        const owner = as(secret)
        yield* owner(accounts.ensureProject({ name: shop }))
        const scopes: ReadonlyArray<Scope> = ["services:read", "keys:manage"]
        const made = yield* owner(
          accounts.createKey({ name: "weak", scopes, project: shop, expiresInDays: 1 })
        )
        const weak = as(made.secret)
        const refused = (input: Parameters<typeof accounts.createKey>[0]) =>
          codeOf(Effect.flip(weak(accounts.createKey(input))))
        assert.strictEqual(yield* refused({ name: "a", scopes: ["services:delete"] }), "forbidden")
        assert.strictEqual(yield* refused({ name: "a", project: main }), "unknown_project")
        const child = yield* weak(accounts.createKey({ name: "child", expiresInDays: 99 }))
        assert.deepStrictEqual(child.key, { ...made.key, name: "child", prefix: child.key.prefix })
        const shorter = yield* weak(
          accounts.createKey({ name: "less", scopes: ["services:read"], project: shop })
        )
        assert.deepStrictEqual(shorter.key.scopes, ["services:read"])
        assert.strictEqual(
          yield* codeOf(Effect.flip(as(shorter.secret)(accounts.listKeys))),
          "forbidden"
        )
      })
    )
  )

  it.live("end at once when they are revoked, and say so to those who have them", () =>
    against(() =>
      Effect.gen(function* () {
        const { accounts, as, secret } = yield* platform
        const made = yield* as(secret)(accounts.createKey({ name: "laptop" }))
        yield* as(made.secret)(accounts.whoami)
        yield* as(secret)(accounts.revokeKey({ name: "laptop" }))
        const { failure } = yield* Effect.flip(as(made.secret)(accounts.whoami))
        assert.strictEqual(failure.code, "unauthorized")
        assert.match(failure.cause, /^The key 'laptop' was revoked at \d{4}-/u)
        const guess = `${made.secret.slice(0, -1)}${made.secret.endsWith("a") ? "b" : "a"}`
        assert.strictEqual((yield* Effect.flip(as(guess)(accounts.whoami))).failure.cause, unknown)
      })
    )
  )

  it.live("are refused once their days are over, also when they were known a moment ago", () =>
    against(() =>
      Effect.gen(function* () {
        const { accounts, as, secret } = yield* platform
        const made = yield* as(secret)(accounts.createKey({ name: "ci", expiresInDays: 1 }))
        yield* as(made.secret)(accounts.whoami)
        const { failure } = yield* Effect.flip(as(made.secret)(accounts.whoami)).pipe(
          inDays(1),
          Effect.orDie
        )
        assert.strictEqual(failure.code, "unauthorized")
        assert.strictEqual(failure.cause, `The key 'ci' expired at ${made.key.expires_at}.`)
        assert.include(failure.next, "keys create")
      })
    )
  )

  it.live("revoke no stronger one", () =>
    against(() =>
      Effect.gen(function* () {
        const { accounts, as, secret } = yield* platform
        const scopes: ReadonlyArray<Scope> = ["services:read", "keys:manage"]
        const weak = as((yield* as(secret)(accounts.createKey({ name: "weak", scopes }))).secret)
        const { failure } = yield* Effect.flip(weak(accounts.revokeKey({ name: "owner" })))
        assert.strictEqual(failure.code, "forbidden")
        assert.include(failure.cause, "services:delete")
        assert.isTrue((yield* weak(accounts.revokeKey({ name: "weak" }))).revoked)
        yield* as(secret)(accounts.whoami)
      })
    )
  )

  it.live(
    "of one project do not see another: neither its services nor its keys and repositories",
    () =>
      against(() =>
        Effect.gen(function* () {
          const { accounts, as, name, secret, services } = yield* platform
          const repositories = yield* Repositories
          const access = yield* GitAccess
          const owner = as(secret)
          yield* owner(accounts.ensureProject({ name: shop }))
          for (const repo of ["hidden", "ours", "free"]) {
            yield* owner(repositories.create({ name: RepositoryName.make(repo) }))
          }
          const spec = (service: string, project: ProjectName) => ({
            name: ServiceName.make(service),
            repo: RepositoryRef.make(service),
            project,
            settings: {},
            variables: {}
          })
          yield* owner(services.create(spec("hidden", main)))
          yield* owner(services.create(spec("ours", shop)))
          const made = yield* owner(accounts.createKey({ name: "limited", project: shop }))
          const limited = as(made.secret)
          const refused = <A, R>(command: Effect.Effect<A, CommandError, R>) =>
            codeOf(Effect.flip(limited(command)))

          const me = yield* limited(accounts.whoami)
          assert.deepStrictEqual([me.projects, me.services], [["shop"], 1])
          assert.deepStrictEqual(
            (yield* limited(accounts.listProjects)).map((project) => project.name),
            ["shop"]
          )
          assert.deepStrictEqual(
            (yield* limited(accounts.listKeys)).map((key) => key.name),
            ["limited"]
          )
          assert.strictEqual(yield* refused(accounts.revokeKey({ name: "owner" })), "not_found")
          assert.strictEqual(
            yield* refused(accounts.ensureProject({ name: ProjectName.make("more") })),
            "forbidden"
          )
          assert.deepStrictEqual(
            (yield* limited(services.list({ limit: 9 }))).services.map((service) => service.name),
            ["ours"]
          )
          assert.strictEqual(
            yield* refused(services.list({ project: main, limit: 9 })),
            "unknown_project"
          )
          const hidden = RepositoryRef.make("hidden")
          const hiddenService = ServiceName.make("hidden")
          assert.strictEqual(
            yield* refused(services.redeploy({ name: hiddenService })),
            "not_found"
          )
          assert.strictEqual(
            yield* refused(
              services.logs({ name: hiddenService, project: main, source: "build", tail: 1 })
            ),
            "unknown_project"
          )

          assert.deepStrictEqual(
            (yield* limited(repositories.list)).map((row) => [row.name, row.services]),
            [
              ["free", []],
              ["ours", ["shop/ours"]]
            ]
          )
          assert.deepStrictEqual(
            [
              yield* refused(repositories.token({ name: hidden, access: "read" })),
              yield* refused(repositories.remove({ name: hidden })),
              yield* refused(services.create({ ...spec("spy", shop), repo: hidden })),
              yield* refused(services.deployFiles({ name: hiddenService, source: [page] }))
            ],
            Array(4).fill("repository_missing")
          )
          const open = (repo: string) =>
            access.authorize(name, repo, Redacted.make(made.secret), "write")
          assert.strictEqual(yield* codeOf(Effect.flip(open("hidden"))), "not_found")
          yield* open("ours")
          yield* limited(repositories.token({ name: RepositoryRef.make("free"), access: "write" }))

          yield* owner(services.remove({ name: hiddenService, project: main }))
          assert.strictEqual(
            yield* refused(repositories.token({ name: hidden, access: "read" })),
            "repository_missing",
            "what is in the trash can come back"
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
        const again = Effect.flip(accounts.authenticate(Redacted.make(wrong)))
        const later = yield* codeOf(again).pipe(inDays(1, -1))
        assert.strictEqual(later, "unauthorized", "also when the clock was set back meanwhile")
      })
    )
  )
})

const main = ProjectName.make("default")
const shop = ProjectName.make("shop")
const unknown = "The key is unknown."
const page = { path: FilePath.make("index.html"), content: new TextEncoder().encode("<h1>Hi</h1>") }

/** As if so many days had passed, after which the clock on the wall shows `shown` days from now. */
const inDays = (passed: number, shown = passed) =>
  Effect.updateService(Clock.Clock, (clock) => {
    const later = shown * 86_400_000
    const nanos = BigInt(passed) * 86_400_000_000_000n
    return {
      sleep: (duration) => clock.sleep(duration),
      currentTimeNanos: clock.currentTimeNanos,
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      monotonicTimeNanos: Effect.map(clock.monotonicTimeNanos, (now) => now + nanos),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + nanos,
      currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + later),
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + later
    }
  })
