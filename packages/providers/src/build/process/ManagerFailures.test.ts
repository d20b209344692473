/** What pnpm, yarn and bun complain about, by the real ones. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { sampleFiles } from "../BuildSamples.ts"
import { failure } from "../detection/DetectionBench.ts"
import { hasBubblewrap, makeBench, project } from "./BuildBench.ts"

describe("what is told", () => {
  /** `npm test` asks one of them; they fetch what the samples fetch. */
  const managers = process.env.TEST_SAMPLES === "all" ? ["pnpm", "yarn", "bun"] : ["pnpm"]
  for (const name of managers) {
    it.live(`of ${name}'s lockfile that is out of date`, () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const files = sampleFiles(name)
        const text = files["package.json"]?.replace('"7.0.0"', '"6.0.0"') ?? ""
        const found = yield* failure(bench.run({ ...files, "package.json": text }))
        assert.strictEqual(found.code, "lockfile_outdated", found.cause)
        assert.isNotEmpty(found.evidence)
        assert.include(found.next, `${name} install`)
      })
    )
  }

  it.live("of a registry of the operator's that is away", () =>
    Effect.gen(function* () {
      const npmRegistry = Option.some(new URL("http://127.0.0.1:9/"))
      const bench = yield* makeBench({ npmRegistry })
      const found = yield* failure(bench.run(sampleFiles("pnpm")))
      assert.strictEqual(found.code, "install_failed")
      assert.match(found.cause, /could not be reached/u)
    })
  )

  for (const scheme of hasBubblewrap ? ["http", "https"] : []) {
    it.live(`of a project's registry that builds may not call, by ${scheme}`, () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const npmrc = `registry=${scheme}://10.0.0.1/\n`
        const found = yield* failure(bench.run({ ...project(""), ".npmrc": npmrc }))
        assert.strictEqual(found.code, "install_failed")
        assert.match(found.cause, /may not call/u)
        assert.include(found.next, "allow_hosts")
        assert.include(found.evidence.join(), "10.0.0.1")
      })
    )
  }
})
