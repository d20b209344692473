/** What a deployment tells of itself afterwards: its steps, what they made and what was tried again. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { Unavailable } from "@deploy-mcp/domain/Fault"
import { Git, GitError } from "@deploy-mcp/domain/Git"
import { RepositoryRef, VariableName } from "@deploy-mcp/domain/model/Names"
import { doublesIn, testing } from "@deploy-mcp/runtime/compositions/testing"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { scene, web } from "./Scene.ts"

const secret = "planted-secret"
const away = new GitError({ reason: new Unavailable({ detail: `git is away: ${secret}` }) })

/** Git that cannot check out for the first `times`. */
const lateGit = (times: number) =>
  Layer.effect(
    Git,
    Effect.map(Git, (git) => {
      let left = times
      return {
        ...git,
        checkout: (...args) =>
          Effect.suspend(() => (left-- > 0 ? Effect.fail(away) : git.checkout(...args)))
      } satisfies Git["Service"]
    })
  )

onEachDatabase((fresh) => {
  const against = <A, E>(
    times: number,
    test: Effect.Effect<A, E, Layer.Success<ReturnType<typeof testing>>>
  ) =>
    Effect.gen(function* () {
      const home = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-replay-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      const doubles = lateGit(times).pipe(Layer.provideMerge(doublesIn(home)))
      return yield* test.pipe(Effect.provide(testing(home, { databaseUrl: fresh(), doubles })))
    }).pipe(Effect.scoped)

  const replayed = Effect.fnUntraced(function* () {
    const it = yield* scene
    it.commit({ page: "0" })
    yield* it.asOwner(
      Services.use((services) =>
        services.create({
          name: web,
          repo: RepositoryRef.make("web"),
          settings: {},
          variables: { [VariableName.make("TOKEN")]: Redacted.make(secret) }
        })
      )
    )
    yield* it.settled()
    yield* it.quiet((yield* it.row(1)).id)
    return yield* it.asOwner(Deployments.use((deployments) => deployments.replay({ name: web })))
  })

  it.live("one that had to wait for git says so, and names what its steps made", () =>
    against(
      2,
      Effect.gen(function* () {
        const { phases, release, retries, status, steps } = yield* replayed()
        assert.strictEqual(status, "live")
        assert.deepStrictEqual(
          retries.map(({ phase, cause }) => [phase, cause]),
          Array.from({ length: 2 }, () => ["source", "unavailable: git is away: ••••••"])
        )
        const deploying = steps.filter(({ workflow }) => workflow === "DeployService")
        assert.deepStrictEqual(
          deploying.map(({ name, outcome }) => [name, outcome]),
          ["planBuild", "buildArtifact", "recordRelease", "awaitHealthy", "moveRoute"].map(
            (name) => [name, "done"]
          )
        )
        assert.match(deploying[0]?.result ?? "", /^artifact [0-9a-f]{64}$/u)
        assert.strictEqual(deploying[2]?.result, `release ${release}`)
        const [source] = phases.filter(({ phase }) => phase === "source")
        assert.isTrue(retries.every(({ at }) => at >= (source?.started_at ?? "z")))
        for (const { ended_at, started_at } of deploying)
          assert.isTrue((ended_at ?? "") >= started_at)
      })
    )
  )

  it.live("one that gave up names the step, the failure and each attempt but the last", () =>
    against(
      5,
      Effect.gen(function* () {
        const { failure, retries, status, steps } = yield* replayed()
        assert.strictEqual(status, "failed")
        assert.lengthOf(retries, 4)
        const [first, second] = steps
        assert.deepStrictEqual(
          [first?.name, first?.outcome, first?.failure],
          ["planBuild", "failed", { code: "unavailable", cause: "git is away: ••••••" }]
        )
        assert.deepStrictEqual([second?.name, second?.outcome], ["recordFailure", "done"])
        assert.strictEqual(failure?.code, "unavailable")
      })
    )
  )
})
