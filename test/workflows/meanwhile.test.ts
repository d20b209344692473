/** What waits for git is asked again afterwards: the service may be another one by then. */
import { Services } from "@deploy-mcp/domain/commands/Services"
import { BranchName } from "@deploy-mcp/domain/model/Names"
import { doublesIn, testing } from "@deploy-mcp/runtime/compositions/testing"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer } from "effect"
import { gatedGit } from "./GatedGit.ts"
import { homeOf } from "./Retained.ts"
import { type scene as makeScene, scene, web } from "./Scene.ts"

type Scene = Effect.Success<typeof makeScene>

const commands = {
  redeploy: (it: Scene) => it.redeploy(),
  rollback: (it: Scene) => it.asOwner(Services.use(({ rollback }) => rollback({ name: web })))
}

onEachDatabase((fresh) => {
  /** The code that a command is refused with when this happens while it waits for git. */
  const refusedAfter = (
    command: (typeof commands)[keyof typeof commands],
    meanwhile: (it: Scene) => Effect.Effect<unknown, unknown, Services>
  ) =>
    Effect.gen(function* () {
      const home = yield* homeOf
      const gate = yield* Latch.make(true)
      const doubles = gatedGit("head of main", gate).pipe(Layer.provideMerge(doublesIn(home)))
      return yield* Effect.gen(function* () {
        const it = yield* scene
        it.commit({ page: "A" })
        yield* it.create()
        yield* it.settled()
        it.commit({ page: "B" })
        yield* it.hint()
        yield* it.settled()
        yield* gate.close
        const waiting = yield* Effect.forkChild(Effect.flip(command(it)), {
          startImmediately: true
        })
        yield* meanwhile(it)
        yield* gate.open
        const { failure } = yield* Fiber.join(waiting)
        return failure.code
      }).pipe(Effect.provide(testing(home, { databaseUrl: fresh(), doubles })))
    })

  for (const [name, command] of Object.entries(commands)) {
    it.live(`a ${name} that waited for git is refused for a service that was deleted`, () =>
      Effect.gen(function* () {
        const code = yield* refusedAfter(command, (it) => it.remove())
        assert.strictEqual(code, "not_found")
      })
    )
  }

  it.live(
    "a redeploy that waited for git is refused for a service that follows another branch",
    () =>
      Effect.gen(function* () {
        const code = yield* refusedAfter(commands.redeploy, (it) =>
          it.asOwner(
            Services.use(({ update }) =>
              update({ name: web, branch: BranchName.make("next"), settings: {}, variables: {} })
            )
          )
        )
        assert.strictEqual(code, "settings_changed")
      })
  )
})
