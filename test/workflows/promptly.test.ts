/** Fifty deployments accepted at once end without one waiting for a clock: nothing looks again and again. */
import { ServiceName } from "@deploy-mcp/domain/model/Names"
import { aloneRunner } from "@deploy-mcp/runtime/compositions/core"
import { eachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { againstOn, scene } from "./Scene.ts"

const names = Array.from({ length: 50 }, (_, at) => ServiceName.make(`web-${at}`))
const atOnce = { concurrency: "unbounded" } as const

for (const [at, fresh] of eachDatabase().entries()) {
  describe(`fifty deployments at once, on ${at === 0 ? "SQLite" : "Postgres"}`, () => {
    it.live(
      "are live although the journal would be read again only in an hour",
      () =>
        againstOn(fresh)(
          Effect.gen(function* () {
            const it = yield* scene
            it.commit({ page: "A" })
            yield* Effect.forEach(names, (name) => it.create(name), atOnce)
            const ended = yield* Effect.forEach(names, (name) => it.settled(name, 1), atOnce)
            assert.deepStrictEqual([...new Set(ended.map(({ status }) => status))], ["live"])
            it.commit({ page: "B" })
            yield* it.hint()
            const again = yield* Effect.forEach(names, (name) => it.settled(name, 2), atOnce)
            assert.deepStrictEqual([...new Set(again.map(({ status }) => status))], ["live"])
          }),
          { runner: aloneRunner("1 hour") }
        ),
      180_000
    )
  })
}
