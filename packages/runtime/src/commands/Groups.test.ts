/** Projects and repositories: what services are grouped by and made from. */
import {
  IdempotencyKey,
  ProjectName,
  RepositoryRef,
  ServiceName
} from "@deploy-mcp/domain/model/Names"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { against, codeOf, planOf, repo, web } from "./testing/CommandWorld.ts"

const name = RepositoryRef.make("web")

describe("delete_repo", () => {
  it.live("is refused while services follow it, and says which; then it is gone for good", () =>
    against(({ asOwner, commit, create, repositories, services }) =>
      Effect.gen(function* () {
        commit({ page: "A" })
        yield* create()
        const { failure } = yield* Effect.flip(asOwner(repositories.remove({ name })))
        assert.deepStrictEqual(
          [failure.code, failure.evidence],
          ["repository_in_use", ["default/web"]]
        )
        assert.deepStrictEqual(
          (yield* asOwner(repositories.list)).map((row) => [row.name, row.services]),
          [["web", ["default/web"]]]
        )
        yield* asOwner(services.remove({ name: web }))
        const words = yield* planOf(asOwner(repositories.remove({ name })))
        assert.include(words.join(), "for good")
        assert.lengthOf(yield* asOwner(repositories.list), 1)
        assert.isTrue((yield* asOwner(repositories.remove({ name }))).removed)
        assert.isFalse((yield* asOwner(repositories.remove({ name }))).removed)
        assert.deepStrictEqual(yield* asOwner(repositories.list), [])
        // A new one of the same name begins empty.
        yield* asOwner(repositories.create({ name: repo }))
        assert.strictEqual((yield* create()).service.status, "awaiting_push")
      })
    )
  )

  it.live("with a key does not remove what was made after it", () =>
    against(({ asOwner, repositories }) =>
      Effect.gen(function* () {
        const remove = repositories.remove({ name, idempotencyKey: IdempotencyKey.make("rm") })
        assert.isTrue((yield* asOwner(remove)).removed)
        yield* asOwner(repositories.create({ name: repo }))
        assert.isTrue((yield* asOwner(remove)).removed)
        assert.lengthOf(yield* asOwner(repositories.list), 1)
      })
    )
  )
})

describe("projects", () => {
  it.live("are made once, and group services of equal names", () =>
    against(({ accounts, asOwner, create }) =>
      Effect.gen(function* () {
        const shop = ProjectName.make("shop")
        assert.strictEqual(yield* codeOf(create({ project: shop })), "unknown_project")
        const words = yield* planOf(asOwner(accounts.ensureProject({ name: shop })))
        assert.deepStrictEqual(words, ["creates the project 'shop'"])
        assert.isTrue((yield* asOwner(accounts.ensureProject({ name: shop }))).created)
        assert.isFalse((yield* asOwner(accounts.ensureProject({ name: shop }))).created)
        yield* create()
        yield* create({ project: shop })
        yield* create({ project: shop, name: ServiceName.make("api") })
        assert.deepStrictEqual(yield* asOwner(accounts.listProjects), [
          { name: "default", services: 1 },
          { name: "shop", services: 2 }
        ])
      })
    )
  )
})
