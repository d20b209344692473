import { RepositoryRef, ServiceName } from "@deploy-mcp/domain/model/Names"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { against, repo } from "./testing/CommandWorld.ts"

describe("a machine without a sandbox", () => {
  it.live("takes services of the platform's own owner, and refuses a stranger's", () =>
    against(({ create, repositories, services, stranger }) =>
      Effect.gen(function* () {
        assert.isTrue((yield* create()).created)
        const { as } = yield* stranger
        yield* as(repositories.create({ name: repo }))
        const theirs = {
          name: ServiceName.make("theirs"),
          repo: RepositoryRef.make(repo),
          settings: {},
          variables: {}
        }
        const { failure } = yield* services.create(theirs).pipe(as, Effect.flip)
        assert.strictEqual(failure.code, "no_sandbox")
        assert.match(failure.cause, /^region: .*platform's own owner/u)
        assert.include(failure.next, "bubblewrap")
      }).pipe(Effect.orDie)
    )
  )
})
