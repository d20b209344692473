/** The examples of CONTRIBUTING.md about doubles and faults, word for word. */
import { chanceOf } from "@deploy-mcp/domain/chaos/Chance"
import * as Faults from "@deploy-mcp/domain/chaos/Faults"
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

it.effect("has made what it was told that it could not make", () =>
  Effect.gen(function* () {
    const mine = yield* Git
    const weather = chanceOf(7)
    const faulty = Faults.git(
      {
        verdict: () => (weather.happens(0.1) ? { kind: "error", when: "after" } : { kind: "ok" }),
        crash: Effect.die("the caller ends here")
      },
      mine
    )
    const { repositories } = yield* GitMemory.GitWorld
    const ends = yield* Effect.forEach(Array.from({ length: 50 }), () =>
      Effect.andThen(
        mine.removeRepository(repository),
        Effect.exit(faulty.ensureRepository(repository))
      ).pipe(Effect.map(({ _tag }) => [_tag, repositories.has(repository.id)] as const))
    )
    const failed = ends.filter(([tag]) => tag === "Failure")
    assert.isAtLeast(failed.length, 1)
    assert.isBelow(failed.length, ends.length)
    assert.isTrue(ends.every(([, isThere]) => isThere))
  }).pipe(Effect.provide(GitMemory.layer))
)
