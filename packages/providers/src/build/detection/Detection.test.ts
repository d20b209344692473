import { symlinkSync } from "node:fs"
import { join } from "node:path"
import { RelativePath } from "@deploy-mcp/domain/model/Names"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { failure, makeBench, pkg } from "./DetectionBench.ts"

type Files = Record<string, string>
const lock = { "package-lock.json": "{}" }

describe("what is planned", () => {
  const cases: ReadonlyArray<[string, Files, Partial<ServiceSettings>, Record<string, unknown>]> = [
    ["a page", { "index.html": "" }, {}, { kind: "static", publish: ".", detected: "index.html" }],
    [
      "a page with a script named like a server",
      { "index.html": "", "main.js": "" },
      {},
      { kind: "static", publish: "." }
    ],
    ["a page in public", { "public/index.html": "" }, {}, { kind: "static", publish: "public" }],
    [
      "a server with a public folder",
      { "public/index.html": "", "server.js": "" },
      {},
      { kind: "node", start: "exec node server.js" }
    ],
    [
      "a Staticfile",
      { Staticfile: "root: site\n", "site/a.txt": "" },
      {},
      { kind: "static", publish: "site" }
    ],
    [
      "a lone server",
      { "server.js": "" },
      {},
      { kind: "node", start: "exec node server.js", detected: "server.js" }
    ],
    [
      "a lone TypeScript file",
      { "index.ts": "" },
      {},
      { kind: "node", start: "exec node index.ts" }
    ],
    [
      "a start script",
      { "package.json": pkg({ scripts: { start: "node a.js" } }) },
      {},
      { kind: "node", start: "exec node a.js", detected: "package.json" }
    ],
    [
      "a main file",
      { "package.json": pkg({ main: "./lib/a.js" }), "lib/a.js": "" },
      {},
      { kind: "node", start: "exec node lib/a.js" }
    ],
    [
      "a main file without its extension",
      { "package.json": pkg({ main: "a" }), "a.js": "" },
      {},
      { kind: "node", start: "exec node a.js" }
    ],
    [
      "dependencies",
      { "package.json": pkg({ dependencies: { a: "1" } }), ...lock, "index.js": "" },
      {},
      { kind: "node", install: "npm ci --omit=dev", build: undefined }
    ],
    [
      "development dependencies alone",
      { "package.json": pkg({ devDependencies: { a: "1" } }), "index.js": "" },
      {},
      { kind: "node", install: undefined }
    ],
    [
      "a start script that is a development dependency",
      {
        "package.json": pkg({ devDependencies: { tsx: "1" }, scripts: { start: "tsx a.ts" } }),
        ...lock
      },
      {},
      { install: "npm ci --include=dev" }
    ],
    [
      "a build script",
      {
        "package.json": pkg({
          devDependencies: { a: "1" },
          scripts: { start: "node a", build: "a" }
        }),
        ...lock
      },
      {},
      { kind: "node", install: "npm ci --include=dev", build: "npm run build" }
    ],
    [
      "a build script and nothing to start",
      { "package.json": pkg({ devDependencies: { a: "1" }, scripts: { build: "a" } }), ...lock },
      {},
      { kind: "static", build: "npm run build", publish: undefined, start: undefined }
    ],
    [
      "a start script that is a development server",
      { "package.json": pkg({ scripts: { start: "vite --host", build: "vite build" } }) },
      {},
      { kind: "static", build: "npm run build" }
    ],
    [
      "a start script that builds before it serves",
      {
        "package.json": pkg({
          scripts: { start: "vite build && node server.js", build: "vite build" }
        })
      },
      {},
      { kind: "node" }
    ],
    [
      "a page beside a package.json that does nothing",
      { "package.json": pkg({ devDependencies: { prettier: "1" } }), "index.html": "" },
      {},
      { kind: "static", publish: "." }
    ],
    [
      "commands of the settings",
      { "package.json": pkg({ dependencies: { a: "1" }, scripts: { start: "x", build: "y" } }) },
      { install_command: "i", build_command: "b", start_command: "node s.js" },
      { install: "i", build: "b", start: "exec node s.js" }
    ],
    [
      "start_command beside a page",
      { "index.html": "" },
      { start_command: "node x.js" },
      { kind: "node", start: "exec node x.js" }
    ],
    [
      "npm start as start_command",
      { "package.json": pkg({ scripts: { start: "node a.js" } }) },
      { start_command: "npm start" },
      { start: "exec node a.js" }
    ],
    [
      "build_pack static",
      { "package.json": pkg({ scripts: { start: "x" } }), "index.html": "" },
      { build_pack: "static" },
      { kind: "static", publish: "." }
    ],
    [
      "build_pack node",
      { "index.html": "", "index.js": "" },
      { build_pack: "node" },
      { kind: "node", start: "exec node index.js" }
    ],
    [
      "root_directory",
      { "apps/web/index.html": "" },
      { root_directory: RelativePath.make("apps/web") },
      { kind: "static", publish: "." }
    ]
  ]
  for (const [name, files, settings, expected] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const plan: Record<string, unknown> = yield* (yield* makeBench()).plan(files, settings)
        for (const [field, value] of Object.entries(expected)) {
          assert.deepStrictEqual(plan[field], value, field)
        }
      })
    )
  }

  it.live("names what shapes the output", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const site = yield* bench.plan({ "index.html": "" })
      assert.deepStrictEqual(site.toolchain, ["a revision"])
      const node = yield* bench.plan({ "index.js": "" })
      assert.includeMembers([...node.toolchain], ["a revision", "node 26.10.0", "npm 11.0.0"])
    })
  )
})

describe("what is refused", () => {
  const cases: ReadonlyArray<[string, Files, Partial<ServiceSettings>, string, RegExp]> = [
    ["an empty checkout", {}, {}, "unknown_kind", /empty/u],
    ["another language", { Gemfile: "" }, {}, "unknown_kind", /Ruby/u],
    [
      "no lockfile",
      { "package.json": pkg({ dependencies: { a: "1" } }), "index.js": "" },
      {},
      "lockfile_missing",
      /package-lock/u
    ],
    [
      "a lockfile above root_directory",
      { "a/package.json": pkg({ dependencies: { a: "1" } }), "a/index.js": "", ...lock },
      { root_directory: RelativePath.make("a") },
      "lockfile_missing",
      /above root_directory/u
    ],
    [
      "nothing to start",
      { "package.json": pkg({ name: "x" }) },
      {},
      "no_start_command",
      /no start script/u
    ],
    [
      "a main file that is not there",
      { "package.json": pkg({ main: "gone.js" }) },
      {},
      "no_start_command",
      /gone\.js/u
    ],
    [
      "broken JSON",
      { "package.json": '{\n  "name": "x",\n  oops\n}' },
      {},
      "manifest_invalid",
      /line 3, column 3/u
    ],
    [
      "JSON that ends too early",
      { "package.json": '{ "name": ' },
      {},
      "manifest_invalid",
      /line 1/u
    ],
    ["JSON that is no object", { "package.json": "7" }, {}, "manifest_invalid", /object/u],
    [
      "a field of the wrong type",
      { "package.json": pkg({ scripts: { start: 7 } }) },
      {},
      "manifest_invalid",
      /scripts/u
    ],
    [
      "a root_directory that is not there",
      { "index.html": "" },
      { root_directory: RelativePath.make("web") },
      "root_directory_missing",
      /'web'/u
    ],
    [
      "a Staticfile with a wrong root",
      { Staticfile: "root: nope" },
      {},
      "manifest_invalid",
      /nope/u
    ],
    [
      "build_pack node on a page",
      { "index.html": "" },
      { build_pack: "node" },
      "unknown_kind",
      /build_pack/u
    ],
    [
      "build_pack dockerfile",
      { Dockerfile: "FROM scratch\n", "index.html": "" },
      { build_pack: "dockerfile" },
      "toolchain_missing",
      /operator.*docker/u
    ],
    ["a Dockerfile alone", { Dockerfile: "FROM scratch\n" }, {}, "toolchain_missing", /operator/u]
  ]
  for (const [name, files, settings, code, telling] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const found = yield* failure((yield* makeBench()).plan(files, settings))
        assert.strictEqual(found.code, code)
        assert.match([found.cause, ...found.evidence, found.next].join("\n"), telling)
      })
    )
  }

  it.live("npm projects, and only those, where npm is missing", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench("npm")
      const files = { "package.json": pkg({ dependencies: { a: "1" } }), ...lock, "index.js": "" }
      assert.strictEqual((yield* failure(bench.plan(files))).code, "toolchain_missing")
      assert.strictEqual((yield* bench.plan({ "index.js": "" })).kind, "node")
    })
  )

  it.live("a link, where a file or a folder should be", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const outside = bench.source({ "package.json": pkg({ main: "x.js" }), "index.html": "" })
      const source = bench.source({})
      symlinkSync(join(outside, "package.json"), join(source, "package.json"))
      symlinkSync(outside, join(source, "web"))
      const found = yield* failure(bench.plan(source))
      assert.strictEqual(found.code, "unknown_kind")
      const web = { root_directory: RelativePath.make("web") }
      const missing = yield* failure(bench.plan(source, web))
      assert.strictEqual(missing.code, "root_directory_missing")
    })
  )
})
