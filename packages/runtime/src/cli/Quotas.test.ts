import { createServer } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FetchHttpClient } from "effect/http"
import { diskMetrics } from "../http/EdgeMetrics.ts"
import { quotas } from "./Quotas.ts"

const mebibyte = 1024 ** 2
const use = {
  free: 1,
  size: 2,
  minFree: 0,
  database: 1,
  artifacts: [
    { owner: "calm-otter", bytes: 10 * mebibyte },
    { owner: "awake-dassie", bytes: 91 * mebibyte },
    { owner: "late-heron", bytes: 5 * mebibyte },
    { owner: "shy-newt", bytes: 1 }
  ],
  artifactQuota: 100 * mebibyte,
  repositories: [],
  repositoryQuota: 0
}

/** What doctor says of a platform whose `/metrics` are these; null: its port answers nobody. */
const saying = (metrics: string | null, runs = true) =>
  Effect.acquireUseRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((_, response) => response.end(metrics))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => {
      const address = server.address()
      const port = typeof address === "object" ? (address?.port ?? 0) : 0
      if (metrics === null) server.close()
      return quotas(port, runs)
    },
    (server) => Effect.sync(() => server.close())
  ).pipe(Effect.provide(FetchHttpClient.layer))

describe("quotas, as doctor tells them", () => {
  it.live("name the owners that are nearest, and what to do", () =>
    Effect.gen(function* () {
      const [artifacts, repositories] = yield* saying(diskMetrics(use))
      assert.strictEqual(artifacts?.status, "warn")
      assert.strictEqual(
        artifacts?.detail,
        "artifacts of 100 MiB an owner: awake-dassie 91 MiB (91 %), calm-otter 10 MiB (10 %), late-heron 5 MiB (5 %), 1 more with less"
      )
      assert.include(artifacts?.next, "DEPLOY_MCP_ARTIFACT_QUOTA")
      assert.deepInclude(repositories, {
        status: "ok",
        detail: "repositories without a quota: nobody has any"
      })
    })
  )

  it.live("are well below nine tenths, and say what there is without one", () =>
    Effect.gen(function* () {
      const [roomy] = yield* saying(diskMetrics({ ...use, artifactQuota: 102 * mebibyte }))
      assert.strictEqual(roomy?.status, "ok")
      const [none] = yield* saying(diskMetrics({ ...use, artifactQuota: 0 }))
      assert.strictEqual(none?.status, "ok")
      assert.include(none?.detail, "artifacts without a quota: awake-dassie 91 MiB, calm-otter")
    })
  )

  it.live("are missed where the platform runs and does not answer, and only there", () =>
    Effect.gen(function* () {
      const [finding] = yield* saying(null)
      assert.deepInclude(finding, { what: "quotas", status: "warn" })
      assert.include(finding?.next, "DEPLOY_MCP_PORT")
      const [resting] = yield* saying(null, false)
      assert.strictEqual(resting?.status, "ok")
    })
  )
})
