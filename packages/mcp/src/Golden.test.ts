/** What callers are told must not change by accident. `npm run docs` writes both files anew. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { allTools } from "./Catalog.ts"
import { listed } from "./Offer.ts"
import { renderTools } from "./ToolsPage.ts"

const agents = allTools.filter((tool) => tool.toolset === "deploy")

const same = (path: string, text: string) => {
  const file = fileURLToPath(new URL(path, import.meta.url))
  if (process.env.UPDATE === "1") {
    mkdirSync(new URL(".", new URL(path, import.meta.url)), { recursive: true })
    writeFileSync(file, text)
  }
  assert.strictEqual(text, readFileSync(file, "utf8"), `${path} is stale: npm run docs`)
}

describe("what callers are told", () => {
  it("tools/list is as it was", () => {
    same("testing/tools-list.json", `${JSON.stringify({ tools: agents.map(listed) }, null, 2)}\n`)
  })

  it("TOOLS.md is up to date", () => {
    same("../TOOLS.md", renderTools())
  })

  it("every tool has a clean name and every argument a description", () => {
    for (const tool of allTools) {
      assert.match(tool.name, /^[a-z][a-z0-9_]{0,39}$/)
      for (const [name, schema] of Object.entries(tool.inputSchema.properties)) {
        assert.isString(schema.description, `${tool.name}.${name}`)
      }
      assert.isFalse(tool.inputSchema.additionalProperties)
    }
  })

  it("has exactly the tools that are promised", () => {
    assert.deepStrictEqual(
      agents.map(({ name }) => name),
      [
        "whoami",
        "list_projects",
        "ensure_project",
        "create_repo",
        "get_git_token",
        "list_repos",
        "delete_repo",
        "create_service",
        "list_services",
        "get_service",
        "redeploy_service",
        "delete_service",
        "deploy_files",
        "update_service",
        "rollback_service",
        "cancel_deployment",
        "restore_service",
        "list_deployments",
        "wait_for_deployment",
        "get_logs"
      ]
    )
  })
})
