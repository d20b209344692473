/** The examples of CONTRIBUTING.md about doubles, word for word. */
import { Unavailable } from "@deploy-mcp/domain/Fault"
import { Git, GitError } from "@deploy-mcp/domain/Git"
import { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { defaultBranch } from "@deploy-mcp/domain/model/Names"
import type { Repository } from "@deploy-mcp/domain/model/Service"
import * as GitMemory from "@deploy-mcp/providers/git/memory/GitMemory"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"

const repository: Repository = {
  id: RepositoryId.make(`rep_${"0".repeat(20)}`),
  host: "internal",
  owner: "calm-otter",
  name: "web"
}

/** What is tested: it knows the contract and no provider. */
const newest = Git.use((git) => git.head(repository, defaultBranch))

it.effect("finds the commit that was pushed", () =>
  Effect.gen(function* () {
    const { commit } = yield* GitMemory.GitWorld
    const pushed = commit(repository.id, defaultBranch, { "index.html": "hello" })
    assert.strictEqual(yield* newest, pushed)
  }).pipe(Effect.provide(GitMemory.layer))
)

const away = new GitError({ reason: new Unavailable({ detail: "The host is away." }) })

it.effect("passes on that git is away", () =>
  Effect.gen(function* () {
    assert.isTrue((yield* Effect.flip(newest)).isRetryable)
  }).pipe(Effect.provide(Layer.mock(Git, { head: () => Effect.fail(away) })))
)
