/** When a Dockerfile decides, and when what is detected does; no engine is asked. */
import { symlinkSync } from "node:fs"
import { join } from "node:path"
import { RelativePath } from "@deploy-mcp/domain/model/Names"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  type Files,
  failure,
  makeBench,
  pkg,
  serviceSettings
} from "../detection/DetectionBench.ts"
import { planDocker, planTools } from "./DockerPlan.ts"

const tools = planTools({ node: "node:1", python: "python:3.9", go: "golang:2", goRun: "alpine:4" })
const Dockerfile = "FROM scratch\n"

const planOf = (files: Files, more: Parameters<typeof serviceSettings>[0] = {}) =>
  Effect.gen(function* () {
    const bench = yield* makeBench()
    return yield* planDocker(bench.source(files), serviceSettings(more), tools)
  })

describe("what is planned", () => {
  const cases: ReadonlyArray<[string, Files, Parameters<typeof planOf>[1], object]> = [
    ["a Dockerfile", { Dockerfile }, {}, { kind: "dockerfile", start: undefined }],
    ["a Dockerfile before a program", { Dockerfile, "main.py": "" }, {}, { kind: "dockerfile" }],
    [
      "a Dockerfile that is asked for",
      { Dockerfile },
      { build_pack: "dockerfile", start_command: "./run" },
      { kind: "dockerfile", start: "./run", detected: "Dockerfile" }
    ],
    [
      "a Dockerfile in the root directory",
      { Dockerfile: "not this one", "api/Dockerfile": Dockerfile, "index.html": "" },
      { root_directory: RelativePath.make("api") },
      { kind: "dockerfile" }
    ],
    [
      "a Dockerfile with a Procfile",
      { Dockerfile, Procfile: "web: a\nclock: b\n" },
      {},
      { start: "a", workers: { clock: "b" } }
    ],
    [
      "commands that a Dockerfile has no use for",
      { Dockerfile },
      { build_command: "make" },
      { notes: ["build_command is left out: the Dockerfile says what is run."] }
    ],
    [
      "another build pack than the Dockerfile's",
      { Dockerfile, "index.html": "" },
      { build_pack: "static" },
      { kind: "static", publish: "." }
    ],
    [
      "Node, on the image that is set",
      { "package.json": pkg({ scripts: { start: "node a" } }) },
      {},
      { kind: "node", start: "exec node a" }
    ]
  ]
  for (const [name, files, settings, expected] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const plan: object = yield* planOf(files, settings)
        for (const [field, value] of Object.entries(expected)) {
          assert.deepStrictEqual(Reflect.get(plan, field), value, field)
        }
      })
    )
  }

  it.live("is another artifact on other images", () =>
    Effect.gen(function* () {
      const toolchain = (files: Files) => Effect.map(planOf(files), (plan) => plan.toolchain.join())
      assert.include(yield* toolchain({ "index.js": "" }), "node:1")
      assert.include(yield* toolchain({ "main.py": "" }), "python:3.9")
      assert.match(yield* toolchain({ "main.go": "" }), /golang:2.*alpine:4/u)
      assert.notInclude(yield* toolchain({ Dockerfile }), "node:1")
    })
  )
})

describe("what is refused", () => {
  it.live("a Dockerfile that is asked for and not there", () =>
    Effect.gen(function* () {
      const found = yield* failure(planOf({ "index.html": "" }, { build_pack: "dockerfile" }))
      assert.strictEqual(found.code, "unknown_kind")
      assert.match(found.next, /Commit a Dockerfile/u)
    })
  )

  it.live("a link instead of one, which would show a file of the machine", () =>
    Effect.gen(function* () {
      const source = (yield* makeBench()).source({})
      symlinkSync("/etc/passwd", join(source, "Dockerfile"))
      const found = yield* failure(planDocker(source, serviceSettings(), tools))
      assert.strictEqual(found.code, "unknown_kind")
    })
  )
})
