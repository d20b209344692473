/** A site that is built first, by the real tools. */
import { readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { sampleFiles } from "../BuildSamples.ts"
import { makeBench } from "./BuildBench.ts"

describe("Vite", () => {
  it.live("is installed and built from its lockfile", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const artifact = yield* bench.run(sampleFiles("vite"))
      assert.deepStrictEqual(artifact.runtime, { kind: "static", publish: ".", spa: true })
      assert.deepStrictEqual(readdirSync(artifact.directory).sort(), ["assets", "index.html"])
      assert.include(bench.log, "platform $ npm ci --include=dev")
      assert.include(bench.log, "platform $ npm run build")
    })
  )
})
