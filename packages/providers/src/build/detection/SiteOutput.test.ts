/** Where the pages of a built site are found, and which sites are one page. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { failure, makeBench, pkg } from "./DetectionBench.ts"
import { siteOutput } from "./SiteOutput.ts"

/** What is found in a folder with these pages and this package.json. */
const outputOf = (pages: ReadonlyArray<string>, devDependencies = {}) =>
  Effect.gen(function* () {
    const bench = yield* makeBench()
    const files = Object.fromEntries(pages.map((page) => [page, "x"]))
    const manifest = { "package.json": pkg({ devDependencies }) }
    return yield* siteOutput(bench.source({ ...files, ...manifest }), undefined)
  })

describe("the folder that is served", () => {
  for (const folder of ["dist", "out", "_site", "docs/.vitepress/dist", "dist/shop/browser"]) {
    it.live(`is ${folder} when the pages are there`, () =>
      Effect.gen(function* () {
        const { publish } = yield* outputOf([`${folder}/index.html`, `${folder}/a.css`])
        assert.strictEqual(publish, folder)
      })
    )
  }

  it.live("is not guessed when there are two", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const source = bench.source({ "dist/a/index.html": "x", "dist/b/index.html": "x" })
      const found = yield* failure(siteOutput(source, undefined))
      assert.strictEqual(found.code, "no_start_command")
    })
  )
})

describe("one page for all addresses", () => {
  const spaOf = (pages: ReadonlyArray<string>, devDependencies: Readonly<Record<string, string>>) =>
    outputOf(pages, devDependencies).pipe(Effect.map(({ spa }) => spa))

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
