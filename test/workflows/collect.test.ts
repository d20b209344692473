/** Behind each deployment old artifacts are collected: the last releases stay, and the live one always. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { Services } from "@deploy-mcp/domain/commands/Services"
import { Platform } from "@deploy-mcp/runtime/Platform"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { againstOn, scene, web } from "./Scene.ts"

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  describe("collection", () => {
    it.live("keeps the live release and those before it, also one that was gone back to", () =>
      against(
        Effect.gen(function* () {
          const { asOwner, commit, create, redeploy, settled } = yield* scene
          const services = yield* Services
          const { home, keptReleases } = yield* Platform
          const artifacts = join(home, "artifacts")
          const built = () => new Set(namesIn(artifacts))
          /** What each deployment built, by its number. */
          const outputs: Array<string> = [""]
          const until = (count: number) =>
            Effect.sync(() => built().size).pipe(
              Effect.repeat({
                schedule: Schedule.spaced("5 millis"),
                until: (size) => size === count
              }),
              Effect.timeout("10 seconds")
            )
          const deploy = Effect.fnUntraced(function* (page: string) {
            const before = built()
            commit({ page })
            yield* outputs.length === 1 ? create() : redeploy()
            const { number, status } = yield* settled()
            assert.strictEqual(status, "live")
            outputs[number] = [...built()].find((name) => !before.has(name)) ?? ""
          })

          const all = keptReleases + 3
          for (let number = 1; number <= all; number += 1) yield* deploy(`${number}`)
          yield* until(keptReleases + 1)
          assert.deepStrictEqual([...built()].sort(), outputs.slice(-keptReleases - 1).sort())

          // The oldest that is kept is live again, and is as old as before for a collection.
          const back = outputs[all - keptReleases] ?? ""
          yield* asOwner(services.rollback({ name: web, to: all - keptReleases }))
          assert.strictEqual((yield* settled()).status, "live")
          assert.isTrue(built().has(back))
          yield* deploy("after")
          yield* until(keptReleases + 1)
          assert.isTrue(built().has(back), "what was live a moment ago can be gone back to")
          assert.isTrue(built().has(outputs.at(-1) ?? ""))
        })
      )
    )
  })
})

/** Keys of artifacts; each has a folder and a file beside it. */
const namesIn = (folder: string): ReadonlyArray<string> =>
  existsSync(folder) ? readdirSync(folder).map((name) => name.replace(/\.json$/u, "")) : []
