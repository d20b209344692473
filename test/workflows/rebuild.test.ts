/** A known commit is planned without its files; they are there again when they have to be built. */
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { Platform } from "@deploy-mcp/runtime/Platform"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { againstOn, scene } from "./Scene.ts"

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  describe("a commit that was deployed before", () => {
    it.live("is checked out and built again when its artifact is gone", () =>
      against(
        Effect.gen(function* () {
          const { commit, create, redeploy, settled } = yield* scene
          commit({ page: "A" })
          yield* create()
          yield* settled()
          const artifacts = join((yield* Platform).home, "artifacts")
          const built = readdirSync(artifacts)
          assert.isNotEmpty(built)
          for (const name of built) rmSync(join(artifacts, name), { recursive: true })
          yield* redeploy()
          const again = yield* settled()
          assert.deepStrictEqual([again.number, again.status], [2, "live"])
          assert.deepStrictEqual(readdirSync(artifacts).sort(), built.sort())
        })
      )
    )
  })
})
