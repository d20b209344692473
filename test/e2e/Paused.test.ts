/** A service that keeps dying is paused, says so everywhere, and goes on with its next release. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { runCli } from "./CommandLine.ts"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { program } from "./Samples.ts"

const name = "mortal"
const mortal = program(`require("node:http")
  .createServer((request, response) => {
    if (request.url === "/end") process.exit(9)
    response.end("alive")
  })
  .listen(process.env.PORT)`)

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform({ DEPLOY_MCP_RESTART_LIMIT: "3" })
  await platform.api.call("deploy_files", { name, files: mortal })
  assert.strictEqual((await platform.api.ended(name)).status, "live")
})
afterAll(() => platform.dispose())

describe("a service that ended too often", () => {
  it("is paused, and each door says how to resume", async () => {
    await eventually("it is paused", async () => {
      const { status } = await platform.api.service(name)
      if (status === "live") await platform.get(name, { path: "/end" }).catch(() => {})
      return status === "paused"
    })
    const { next, runtime_log } = await platform.api.service(name, { runtime_log_lines: 100 })
    assert.match(next, /^paused: The process ended 3 times within ten minutes.*redeploy_service/u)
    assert.match(runtime_log.map(({ text }) => text).join("\n"), /It is paused\. To resume: /u)
    assert.include((await platform.get(name)).body, "paused")
    const { stdout } = await runCli(platform, ["services"], platform.folder)
    assert.include(stdout, `✗ ${name}  ${next}`)
    assert.match(platform.output(), /is paused: The process ended 3 times/u)
  })

  it("stays so when control comes back, and goes on with the next release", async () => {
    await platform.kill9("control")
    await platform.start()
    await eventually(
      "the node has told of it",
      async () => (await platform.api.service(name)).status === "paused"
    )
    await platform.api.redeploy(name)
    assert.strictEqual((await platform.api.ended(name)).status, "live")
    assert.strictEqual((await platform.get(name)).body, "alive")
    assert.strictEqual((await platform.api.service(name)).status, "live")
  })
})
