/** Services in gVisor, from the setting to an answer; and what a platform says that was told so and can't. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"

const server = `require("node:http").createServer((question, answer) =>
  answer.end(process.pid + " " + require("node:fs").readFileSync("/proc/version"))).listen(process.env.PORT)`
const start = JSON.stringify({ name: "shop", scripts: { start: "node server.js" } })
const app = { name: "shop", files: { "server.js": server, "package.json": start } }

const installed = ["bwrap", "runsc"].every((name) =>
  (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, name)))
)

const suite = () => {
  let platform: Platform
  beforeAll(async () => {
    platform = await startPlatform({ DEPLOY_MCP_SANDBOX: "gvisor" })
  })
  afterAll(() => platform.dispose())

  it("answer from a kernel of their own, sleep, and go on where they stood", async () => {
    const { api } = platform
    assert.include((await api.whoami()).platform.join(" "), "Services run in gVisor")
    await api.call("deploy_files", app)
    const { failure, status } = await api.ended("shop")
    assert.strictEqual(status, "live", JSON.stringify(failure))
    await api.call("update_service", { name: "shop", mode: "on_demand", idle_after: 10 })
    assert.strictEqual((await api.ended("shop")).status, "live")
    const { body } = await platform.get("shop")
    assert.match(body, /^\d+ Linux version /)
    assert.notInclude(body, readFileSync("/proc/version", "utf8").trim())
    await eventually("it sleeps", async () => (await api.service("shop")).next.includes("asleep"))
    assert.strictEqual((await platform.get("shop")).body, body)
    await platform.stop()
  })
}

describe("services in gVisor", () => {
  if (installed) suite()
  else it.skip("cannot be tried here", () => {})
})

describe("a platform whose gVisor does not work", () => {
  const programs = mkdtempSync(join(tmpdir(), "deploy-mcp-e2e-programs-"))
  afterAll(() => rmSync(programs, { recursive: true }))

  it("says so and what to do, serves sites, and runs no service in anything weaker", async () => {
    writeFileSync(join(programs, "runsc"), "#!/bin/sh\nexit 1\n", { mode: 0o755 })
    const platform = await startPlatform({
      DEPLOY_MCP_SANDBOX: "gvisor",
      PATH: `${programs}${delimiter}${process.env.PATH}`
    })
    try {
      const { api } = platform
      assert.match(
        platform.output(),
        /No service is run: DEPLOY_MCP_SANDBOX is gvisor, which can't/
      )
      await api.call("deploy_files", { name: "site", files: { "index.html": "hello" } })
      assert.strictEqual((await api.ended("site")).status, "live")
      assert.strictEqual((await platform.get("site")).body, "hello")
      await api.call("deploy_files", app)
      const { failure, status } = await api.ended("shop")
      assert.deepStrictEqual([status, failure?.code], ["failed", "no_sandbox"])
      assert.match(
        failure?.cause ?? "",
        /runsc does not run a program here .*set DEPLOY_MCP_SANDBOX to auto/
      )
      await platform.stop()
    } finally {
      await platform.dispose()
    }
  })
})
