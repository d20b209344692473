/** Pages that are made from the code are as the code is. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Dns } from "@deploy-mcp/domain/Dns"
import { Git } from "@deploy-mcp/domain/Git"
import { dns, git } from "@deploy-mcp/providers/catalog"
import { choose } from "@deploy-mcp/runtime/instances/Choice"
import { readSettings } from "@deploy-mcp/runtime/instances/SettingsFile"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { readReport } from "../chaos/Report.ts"
import { root } from "../e2e/Platform.ts"
import { renderChaos } from "./ChaosPage.ts"
import { renderCli } from "./CliPage.ts"
import { isPage } from "./Generated.ts"
import { example, platform, providers, renderSettings, settingsPart } from "./SettingsPage.ts"

describe("a page that is made from the code", () => {
  it("docs/cli.md has each command, as its help shows it", async () => {
    isPage("docs/cli.md", await Effect.runPromise(renderCli))
  })

  it("docs/chaos.md has the invariants and what was found", () => {
    isPage("docs/chaos.md", renderChaos(readReport()))
  })

  it("docs/settings.md has each setting, with its default and its meaning", () => {
    isPage("docs/settings.md", renderSettings())
  })

  it("docs/settings.md has an example that is read as it stands", async () => {
    const folder = mkdtempSync(join(tmpdir(), "deploy-mcp-docs-"))
    try {
      writeFileSync(join(folder, "deploy-mcp.toml"), example)
      const read = Effect.gen(function* () {
        const tables = yield* readSettings(folder, null)
        yield* choose(tables, "git", Git, git)
        return yield* choose(tables, "dns", Dns, dns)
      })
      const { instances } = await Effect.runPromise(read)
      assert.sameMembers(
        instances.map(({ name }) => name),
        ["public"]
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it("README.md has the same defaults in its own words", () => {
    const rows = [...readme.matchAll(/^\| `(DEPLOY_MCP_\w+)` \| (?:`([^`]*)`)? ?\|/gmu)]
    const told = rows.map(([, name = "", value = ""]) => ({ name, default: value }))
    assert.isAbove(told.length, 3)
    const known = platform.map(({ name, default: value }) => ({ name, default: value }))
    for (const one of told) assert.deepInclude(known, one)
  })

  it.each(providers)("$folder/README.md has the settings", (described) => {
    const { service, provider, folder, settings } = described
    const path = `${folder}/README.md`
    const page = readFileSync(join(root, path), "utf8")
    const part = settingsPart(service, provider, settings).join("\n")
    assert.match(page, generated, `${path} needs a table below '## Settings'`)
    isPage(
      path,
      page.replace(generated, () => `${begin}\n${part}\n${end}\n`)
    )
  })
})

const readme = readFileSync(join(root, "README.md"), "utf8")
const begin = "<!-- npm run docs -->"
const end = "<!-- end -->"
/** What is between the marks; in a page that has none yet, what somebody wrote below the heading. */
const generated =
  /<!-- npm run docs -->\n[\s\S]*?<!-- end -->\n|(?<=^## Settings\n\n)(?:None\.\n|(?:\|.*\n)+)/mu
