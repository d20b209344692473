/** Sites that are built first: where their pages are found, and which of them are one page. */
import { readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { failure, makeBench, pkg } from "./BuildBench.ts"
import { sampleFiles } from "./BuildSamples.ts"

/** A build that writes `pages` with nothing but a shell. */
const writing = (pages: ReadonlyArray<string>, devDependencies = {}) => ({
  "package.json": pkg({
    scripts: {
      build: pages.map((page) => `mkdir -p $(dirname ${page}) && echo x > ${page}`).join(" && ")
    },
    devDependencies
  })
})

describe("the folder that is served", () => {
  for (const folder of ["dist", "out", "_site", "docs/.vitepress/dist", "dist/shop/browser"]) {
    it.live(`is ${folder} when the pages are there`, () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const artifact = yield* bench.run(writing([`${folder}/index.html`, `${folder}/a.css`]))
        assert.deepStrictEqual(readdirSync(artifact.directory).sort(), ["a.css", "index.html"])
      })
    )
  }

  it.live("is not guessed when there are two", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const found = yield* failure(bench.run(writing(["dist/a/index.html", "dist/b/index.html"])))
      assert.strictEqual(found.code, "no_start_command")
    })
  )
})

describe("one page for all addresses", () => {
  // Nothing is installed: only what package.json says counts.
  const spaOf = (pages: ReadonlyArray<string>, devDependencies: Readonly<Record<string, string>>) =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const artifact = yield* bench.run(writing(pages, devDependencies), { install_command: ":" })
      return artifact.runtime.kind === "static" && artifact.runtime.spa === true
    })

  it.live("is what a bundler makes of one index.html", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* spaOf(["dist/index.html", "dist/a.js"], { vite: "1" }))
      assert.isFalse(yield* spaOf(["dist/index.html", "dist/404.html"], { vite: "1" }))
      assert.isFalse(yield* spaOf(["dist/index.html", "dist/a/index.html"], { vite: "1" }))
      assert.isFalse(yield* spaOf(["dist/index.html"], { vite: "1", astro: "1" }))
      assert.isFalse(yield* spaOf(["dist/index.html"], { sass: "1" }))
    })
  )
})

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

  it.live("is a site also where start is its development server", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const scripts = { start: "vite --host", build: "vite build" }
      const plan = yield* bench.plan({ "package.json": pkg({ scripts }) })
      assert.deepInclude(plan, { kind: "static", build: "npm run build" })
      const server = { start: "vite build && node server.js", build: "vite build" }
      const other = yield* bench.plan({ "package.json": pkg({ scripts: server }) })
      assert.strictEqual(other.kind, "node")
    })
  )
})
