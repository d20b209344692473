/** Whatever a page names is there: files, settings, npm scripts, commands of the command line. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { root } from "../e2e/Platform.ts"
import { blocksOf, linksOf, spansOf } from "../examples/Markdown.ts"
import { helpBelow } from "./CliPage.ts"
import { providers } from "./SettingsPage.ts"

const isOurs = (path: string) => !/(^|\/)(node_modules|dist|\..*|test\/samples)(\/|$)/u.test(path)
const read = (path: string) => readFileSync(join(root, path), "utf8")

const pages = globSync("**/*.md", { cwd: root, exclude: (path) => !isOurs(path) }).filter(isOurs)
const sources = globSync("{packages,bin,infra}/**/*.{ts,mjs,service}", {
  cwd: root,
  exclude: (path) => !isOurs(path)
})

/** What can be typed or copied: spans and lines of blocks. */
const typed = (page: string) => [...blocksOf(page).flatMap(({ lines }) => lines), ...spansOf(page)]

const isThere = (path: string, target: string) =>
  existsSync(join(root, dirname(path), target.replace(/#.*$/u, "")))

describe("a page names only what is there", () => {
  it("finds the pages at all", () => {
    for (const page of ["README.md", "docs/cli.md", "packages/mcp/TOOLS.md"]) {
      assert.include(pages, page)
    }
  })

  it.each(pages)("%s: files", (path) => {
    const targets = linksOf(read(path)).filter((target) => !/^(https?:|#)/u.test(target))
    assert.deepStrictEqual(
      targets.filter((target) => !isThere(path, target)),
      []
    )
  })

  it("settings", () => {
    const names = (text: string) => text.match(/\bDEPLOY_MCP_[A-Z_]*[A-Z]\b/gu) ?? []
    const known = new Set(sources.flatMap((path) => names(read(path))))
    const ofInstances = providers.flatMap(({ service, settings }) =>
      settings.map(({ name }) => new RegExp(`^DEPLOY_MCP_${service}_[A-Z0-9_]+_${name}$`, "iu"))
    )
    const isKnown = (name: string) =>
      known.has(name) || ofInstances.some((pattern) => pattern.test(name))
    assert.deepStrictEqual(
      pages.flatMap((path) => names(read(path)).filter((name) => !isKnown(name))),
      []
    )
  })

  it("npm scripts", () => {
    const { scripts } = JSON.parse(read("package.json"))
    // What a provider's page says of npm is about the projects of tenants.
    const ours = pages.filter((path) => !path.startsWith("packages/providers/"))
    const missing = ours.flatMap((path) =>
      typed(read(path)).flatMap((text) => {
        const [, name] = /\bnpm (?:run )?(start|test|(?<=run )\S+)/u.exec(text) ?? []
        return name === undefined || name in scripts ? [] : [`${path}: ${text}`]
      })
    )
    assert.deepStrictEqual(missing, [])
  })

  it("commands and their flags", async () => {
    const docs = await Effect.runPromise(helpBelow([]))
    const shared = docs[0]?.flags ?? []
    const known = new Map(docs.map((doc) => [(doc.commandPath ?? []).join(" "), doc]))
    const wrong = pages.flatMap((path) =>
      typed(read(path)).flatMap((text) => {
        const [, call = ""] = /(?:^|\s)(deploy-mcp(?: [a-z-]+)*(?: .*)?)$/u.exec(text) ?? []
        const words = call.replace(/\s+# .*$/u, "").split(" ")
        const [, sub = "--help"] = words
        if (call === "" || /^[-<]/u.test(sub) || text.startsWith("claude ")) return []
        const doc = known.get(words.slice(0, 3).join(" ")) ?? known.get(words.slice(0, 2).join(" "))
        const flags = [...shared, ...(doc?.flags ?? [])].flatMap(({ name, aliases }) => [
          `--${name}`,
          ...aliases
        ])
        const unknown = words.filter((word) => word.startsWith("-") && !flags.includes(word))
        return doc === undefined || unknown.length > 0 ? [`${path}: ${text}`] : []
      })
    )
    assert.deepStrictEqual(wrong, [])
  })
})
