/** A deleted service serves nothing at once, and is forgotten for good when its retention is over. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { Platform } from "@deploy-mcp/runtime/Platform"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { againstOn, scene } from "./Scene.ts"

onEachDatabase((fresh) => {
  const against = againstOn(fresh)

  describe("the trash", () => {
    it.live("is emptied: rows, artifacts and logs go, those of others stay", () =>
      against(
        Effect.gen(function* () {
          const it = yield* scene
          const sql = yield* SqlClient
          const { home } = yield* Platform
          it.commit({ page: "A" })
          yield* it.create()
          yield* it.settled()
          yield* it.remove()
          assert.strictEqual(it.node.running.size, 0)
          yield* it.create()
          yield* it.settled()
          yield* Effect.repeat(sql<{ n: number }>`SELECT COUNT(*) AS n FROM services`, {
            schedule: Schedule.spaced("50 millis"),
            until: ([row]) => row?.n === 1
          }).pipe(Effect.timeout("15 seconds"))
          const [left] = yield* sql<{ n: number }>`SELECT COUNT(*) AS n FROM deployments`
          assert.strictEqual(left?.n, 1)
          assert.strictEqual(readdirSync(join(home, "logs", "deployments")).length, 1)
          assert.strictEqual(it.node.running.size, 1)
          assert.strictEqual((yield* it.redeploy()).cause, "redeploy")
          assert.strictEqual((yield* it.settled()).status, "live")
        })
      )
    )
  })
})
