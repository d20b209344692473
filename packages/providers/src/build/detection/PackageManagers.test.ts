/** Which package manager is chosen, and what its refusals become; npm's own are tested elsewhere. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Files, failure, makeBench, pkg } from "./DetectionBench.ts"

const manifest = (more: object = {}): Files => ({
  "package.json": pkg({ dependencies: { a: "1" }, ...more }),
  "index.js": ""
})
const lockedBy = (...names: ReadonlyArray<string>): Files => ({
  ...manifest(),
  ...Object.fromEntries(names.map((name) => [name, "{}"]))
})
const exec = (spec: string) => new RegExp(`^npm exec --yes --package=${spec} -- `, "u")

describe("the choice", () => {
  const cases: ReadonlyArray<readonly [name: string, files: Files, install: RegExp]> = [
    ["npm's lockfile before others", lockedBy("package-lock.json", "pnpm-lock.yaml"), /^npm ci/u],
    ["pnpm's lockfile", lockedBy("pnpm-lock.yaml"), exec("pnpm@10\\.\\d+\\.\\d+")],
    [
      "an old lockfile of pnpm",
      { ...manifest(), "pnpm-lock.yaml": "lockfileVersion: '6.0'\n" },
      exec("pnpm@8\\.\\d+\\.\\d+")
    ],
    [
      "the version that package.json names",
      {
        ...manifest({ packageManager: "pnpm@9.15.9+sha512.abc" }),
        "pnpm-lock.yaml": ""
      },
      exec("pnpm@9\\.15\\.9")
    ],
    [
      "no version that is none",
      { ...manifest({ packageManager: "pnpm@9; touch x" }), "pnpm-lock.yaml": "" },
      exec("pnpm@10\\.\\d+\\.\\d+")
    ],
    ["yarn's old lockfile", lockedBy("yarn.lock"), exec("yarn@1\\.\\d+\\.\\d+")],
    [
      "yarn's new lockfile",
      {
        ...manifest(),
        "yarn.lock": "__metadata:\n  version: 8\n",
        ".yarnrc.yml": "nodeLinker: node-modules\n"
      },
      exec("@yarnpkg/cli-dist@4\\.\\d+\\.\\d+")
    ],
    ["bun's lockfile", lockedBy("bun.lock"), exec("bun@1\\.\\d+\\.\\d+")]
  ]
  for (const [name, files, install] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const plan = yield* (yield* makeBench()).plan(files)
        assert.match(plan.install ?? "", install)
      })
    )
  }

  it.live("is part of the plan, so that another version is another artifact", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const at = (packageManager: string) =>
        bench.plan({ ...manifest({ packageManager }), "pnpm-lock.yaml": "" })
      assert.include((yield* at("pnpm@9.15.9")).toolchain, "pnpm 9.15.9")
      assert.include((yield* at("pnpm@9.15.8")).toolchain, "pnpm 9.15.8")
    })
  )

  it.live("also runs the build, and no start", () =>
    Effect.gen(function* () {
      const scripts = { build: "x", start: "pnpm run serve", serve: "node index.js" }
      const bench = yield* makeBench()
      const plan = yield* bench.plan({ ...manifest({ scripts }), "pnpm-lock.yaml": "" })
      assert.match(plan.build ?? "", /--package=pnpm@\S+ -- pnpm run build$/u)
      assert.notMatch(plan.install ?? "", /--prod/u)
      assert.strictEqual(plan.start, "exec node index.js")
    })
  )
})

describe("what is refused", () => {
  const cases: ReadonlyArray<readonly [name: string, files: Files, code: string, telling: RegExp]> =
    [
      [
        "a package manager without its lockfile",
        { ...manifest({ packageManager: "yarn@4.1.0" }), "package-lock.json": "{}" },
        "lockfile_missing",
        /yarn\.lock/u
      ],
      [
        "an engine without its lockfile",
        manifest({ engines: { bun: "1" } }),
        "lockfile_missing",
        /Run bun install, commit bun\.lock/u
      ],
      [
        "an unknown package manager",
        manifest({ packageManager: "vlt@1.0.0" }),
        "toolchain_missing",
        /vlt/u
      ],
      [
        "Plug'n'Play",
        { ...manifest(), "yarn.lock": "__metadata:\n", ".pnp.cjs": "" },
        "manifest_invalid",
        /nodeLinker: node-modules/u
      ]
    ]
  for (const [name, files, code, telling] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const found = yield* failure((yield* makeBench()).plan(files))
        assert.strictEqual(found.code, code)
        assert.match([found.cause, ...found.evidence, found.next].join("\n"), telling)
      })
    )
  }
})
