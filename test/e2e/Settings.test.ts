/** The settings file as operators use it: what is wrong with it is one line, and nothing runs. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { install } from "../example-provider/Install.ts"
import { bundles, endOf, freePort, type Platform, spawnControl, startPlatform } from "./Platform.ts"

const folder = mkdtempSync(join(tmpdir(), "deploy-mcp-e2e-settings-"))
const file = join(folder, "settings.toml")
beforeAll(bundles)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What a start says that ends by itself. */
const refusedStart = async (
  home: string,
  settings: string,
  env: Readonly<Record<string, string>> = {}
) => {
  writeFileSync(file, settings)
  const ports = { port: await freePort(), appsPort: await freePort() }
  const child = spawnControl(home, ports, { DEPLOY_MCP_SETTINGS: file, ...env })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
  }
  return { code: await endOf(child), output: output.trim() }
}

describe("a start with a settings file", () => {
  it.each([
    ["[deploy.eu]\nprovider = process", `${file} line 2: invalid value.`],
    [
      "[deploy.local]\napps_port = 1",
      `${file}: [deploy.local] apps_port: the whole platform has to agree on it; set DEPLOY_MCP_APPS_PORT instead.`
    ],
    [
      '[build.local]\ntree_days = "many"',
      `${file}: [build.local] tree_days: expected a string representing a finite number.`
    ]
  ])("ends with one line and exit code 1: %j", async (settings, line) => {
    const home = join(folder, "home")
    mkdirSync(home, { recursive: true })
    assert.deepStrictEqual(await refusedStart(home, settings), {
      code: 1,
      output: `deploy-mcp: ${line}`
    })
  })

  it.each([
    [
      "DEPLOY_MCP_EGRESS_ALLOW",
      "10.0.0.5/24",
      "10.0.0.5/24: the address is not the first one of its /24."
    ],
    ["DEPLOY_MCP_LOG_RATE", "0", "Expected a value between 1 and 1000000."],
    ["DEPLOY_MCP_LOG_SIZE", "0", "Expected a value greater than or equal to 1."],
    ["DEPLOY_MCP_ARTIFACT_QUOTA", "-1", "Expected a value greater than or equal to 0."],
    ["DEPLOY_MCP_KEEP_RELEASES", "0", "Expected a value greater than or equal to 1."],
    ["DEPLOY_MCP_EGRESS", "all", 'Expected "public" | "none".'],
    ["DEPLOY_MCP_SANDBOX", "jail", 'Expected "auto" | "bubblewrap" | "gvisor" | "none".']
  ])("ends with one line when %s is %s", async (setting, value, problem) => {
    const home = join(folder, "home")
    mkdirSync(home, { recursive: true })
    assert.deepStrictEqual(await refusedStart(home, "", { [setting]: value }), {
      code: 1,
      output: `deploy-mcp: ${setting}: ${problem}`
    })
  })

  it("may not take away an instance that a service uses", async () => {
    let platform: Platform | undefined
    try {
      writeFileSync(file, '[build.second]\nprovider = "process"\n[default]\nbuild = "second"\n')
      platform = await startPlatform({ DEPLOY_MCP_SETTINGS: file })
      await platform.api.call("deploy_files", { name: "web", files: { "index.html": "hello" } })
      await platform.api.ended("web")
      assert.strictEqual((await platform.get("web")).body, "hello")
      await platform.stop()
      const { code, output } = await refusedStart(platform.home, "")
      assert.strictEqual(code, 1)
      assert.strictEqual(
        output,
        `deploy-mcp: ${file}: [build.second] is not there any more, but 1 service uses it. Put [build.second] back; take it away when nothing uses it, which includes the trash.`
      )
      // The default may be another one: what there is stays where it is.
      writeFileSync(file, '[build.second]\nprovider = "process"\n')
      await platform.start()
      assert.strictEqual((await platform.get("web")).body, "hello")
    } finally {
      await platform?.dispose()
    }
  })

  it("may name a region that is away, which stops nothing else", async () => {
    writeFileSync(file, '[deploy.eu]\nprovider = "process"\nsocket = "run/eu.sock"\n')
    const platform = await startPlatform({ DEPLOY_MCP_SETTINGS: file })
    try {
      const { platform: lines } = await platform.api.whoami()
      assert.include(lines.at(-1), "regions local, eu; local is the default")
      await platform.api.call("deploy_files", { name: "web", files: { "index.html": "hello" } })
      await platform.api.ended("web")
      assert.strictEqual((await platform.get("web")).body, "hello")
      const refused = await platform.api.refused("create_service", {
        name: "other",
        repo: "web",
        region: "mars"
      })
      assert.deepStrictEqual(refused.evidence, ["regions: local, eu"])
      await platform.stop()
    } finally {
      await platform.dispose()
    }
  })

  it("opens a provider of somebody else, from where the file is", async () => {
    const elsewhere = mkdtempSync(join(folder, "elsewhere-"))
    await install(elsewhere)
    const settings = join(elsewhere, "deploy-mcp.toml")
    const platform = await startPlatform({ DEPLOY_MCP_SETTINGS: settings })
    try {
      assert.isTrue(existsSync(join(platform.home, "instances", "dns.mine")))
      await platform.stop()
    } finally {
      await platform.dispose()
    }
    const { code, output } = await refusedStart(platform.home, '[dns.mine]\nmodule = "gone"')
    assert.strictEqual(code, 1)
    assert.match(
      output,
      /^deploy-mcp: \S+: \[dns\.mine\] module: gone: cannot be found from [^\n]+$/u
    )
  })
})
