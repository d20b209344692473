/** An owner's artifacts stay within their quota; what serves, and what can be gone back to, is untouched. */

import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { ServiceName } from "@deploy-mcp/domain/model/Names"
import { BuildWorld } from "@deploy-mcp/providers/build/memory/BuildMemory"
import { Platform } from "@deploy-mcp/runtime/Platform"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { UsageStore } from "@deploy-mcp/runtime/store/UsageStore"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { againstOn, scene, web } from "./Scene.ts"

const mebibyte = 1024 ** 2
const other = ServiceName.make("other")

/** A page that has so many MiB, with the file that names its commit. */
const page = (name: string, size: number) => ({ page: name.padEnd(size * mebibyte - 40, ".") })

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  const world = Effect.gen(function* () {
    const it = yield* scene
    const { home } = yield* Platform
    const { builds } = yield* BuildWorld
    const folder = join(home, "artifacts")
    const deploy = Effect.fnUntraced(function* (files: Record<string, string>, name = web) {
      it.commit(files)
      yield* Effect.catchTag(it.redeploy(name), "CommandError", () => it.create(name))
      const { failure, status } = yield* it.settled(name)
      return status === "failed" ? failure : status
    })
    return {
      ...it,
      deploy,
      built: () => builds.size,
      kept: () =>
        existsSync(folder)
          ? readdirSync(folder).filter((name) => !name.endsWith(".json")).length
          : 0
    }
  })

  describe("the quota of artifacts", () => {
    it.live("refuses what is too much, removes it, and lets what is kept be gone back to", () =>
      against(
        Effect.gen(function* () {
          const { asOwner, built, deploy, kept, settled } = yield* world
          const services = yield* Services
          assert.strictEqual(yield* deploy(page("one", 1)), "live")
          assert.strictEqual(yield* deploy(page("two", 1)), "live")

          const output = yield* deploy(page("three", 2))
          assert.strictEqual(typeof output === "object" && output?.code, "quota_exceeded")
          assert.include(
            JSON.stringify(output),
            "The output has 2 MiB, and the owner's artifacts have 2 MiB of the 3 MiB"
          )
          assert.strictEqual(kept(), 2, "what was built in vain is removed")

          assert.strictEqual(yield* deploy(page("full", 1)), "live")
          const before = built()
          const nothing = yield* deploy(page("four", 0))
          assert.include(
            JSON.stringify(nothing),
            "Nothing is built, because the owner's artifacts have 3 MiB of the 3 MiB"
          )
          assert.include(JSON.stringify(nothing), "whoami")
          assert.strictEqual(built(), before)

          yield* asOwner(services.rollback({ name: web, to: 1 }))
          assert.strictEqual((yield* settled()).status, "live")
          assert.strictEqual(kept(), 3)
        }),
        { artifactQuota: 3 * mebibyte }
      )
    )

    it.live("counts what two services share once", () =>
      against(
        Effect.gen(function* () {
          const { deploy } = yield* world
          assert.strictEqual(yield* deploy(page("one", 2)), "live")
          assert.strictEqual(yield* deploy(page("one", 2), other), "live")
          assert.strictEqual(yield* deploy(page("two", 1)), "live")
        }),
        { artifactQuota: 3 * mebibyte }
      )
    )

    it.live("is not used up by tries that came to nothing", () =>
      against(
        Effect.gen(function* () {
          const { deploy, kept, owner } = yield* world
          const { artifacts } = yield* UsageStore
          for (const name of ["one", "two", "two", "three"]) {
            const failure = yield* deploy({ ...page(name, 1), "never-healthy": "" })
            assert.strictEqual(typeof failure === "object" && failure?.code, "exited")
            assert.strictEqual(kept(), 1, "the newest may serve the next try")
            assert.strictEqual(yield* artifacts(owner), mebibyte)
          }
          assert.strictEqual(yield* deploy(page("whole", 2)), "live")
        }),
        { artifactQuota: 3 * mebibyte }
      )
    )

    it.live("gives up older releases of deleted services, and never their last live one", () =>
      against(
        Effect.gen(function* () {
          const { asOwner, deploy, kept, remove, settled } = yield* world
          const services = yield* Services
          for (const name of ["one", "two", "three"]) yield* deploy(page(name, 1))
          yield* remove()
          assert.strictEqual(yield* deploy(page("new", 2), other), "live")
          assert.strictEqual(kept(), 2)
          yield* asOwner(services.restore({ name: web }))
          assert.strictEqual((yield* settled()).status, "live")
        }),
        { artifactQuota: 3 * mebibyte, trashRetention: 60_000 }
      )
    )
  })
})
