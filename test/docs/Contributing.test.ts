/** CONTRIBUTING.md shows code that is compiled and run, and providers' pages have the same headings. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { root } from "../e2e/Platform.ts"
import { blocksOf, spansOf } from "../examples/Markdown.ts"

const read = (path: string) => readFileSync(join(root, path), "utf8")
const page = read("CONTRIBUTING.md")
const plain = (code: string) => code.replaceAll(/\s+/gu, " ").trim()

describe("CONTRIBUTING.md", () => {
  const shown = blocksOf(page).filter(({ language }) => language === "ts")

  it("shows code", () => assert.isNotEmpty(shown))

  it.each(shown)("shows code that a test has word for word: $lines", ({ lines }) => {
    const tests = globSync("test/{examples,example-provider}/**/*.test.ts", { cwd: root })
    assert.isTrue(tests.some((path) => plain(read(path)).includes(plain(lines.join("\n")))))
  })

  it("names files and folders that are there", () => {
    const paths = spansOf(page).filter((span) =>
      /^(packages|test|bin|docs)\/[^<>*\s]+$/u.test(span)
    )
    assert.isNotEmpty(paths)
    assert.deepStrictEqual(
      paths.filter((path) => !existsSync(join(root, path))),
      []
    )
  })
})

describe("a provider's page", () => {
  const layers = globSync("packages/providers/src/*/*/*.test.ts", { cwd: root })
    .filter((path) => read(path).includes("Conformance.suite("))
    .map((path) => path.split("/").slice(0, -1).join("/"))

  it.each([...new Set(layers)])("%s has the five headings", (folder) => {
    const headings = [...read(`${folder}/README.md`).matchAll(/^## (.+)$/gmu)].map(
      ([, text]) => text
    )
    assert.deepStrictEqual(headings, ["Name", "Description", "Settings", "Example", "Limits"])
  })
})
