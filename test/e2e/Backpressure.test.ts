/** Too many deployments at a time are refused at every door, with the time to wait; later they are taken. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { agents } from "./Agents.ts"
import { Refused } from "./Api.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform({ DEPLOY_MCP_OPEN_DEPLOYMENTS: "1" })
})
afterAll(() => platform.dispose())

const post = (path: string, body: unknown) =>
  fetch(`${platform.url()}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${platform.key()}`, "content-type": "application/json" },
    body: JSON.stringify(body)
  })

describe("an owner with as many open deployments as allowed", () => {
  it("is refused over the API, MCP and git with retry_after, and served afterwards", async () => {
    const pushUrl = await platform.api.repository("second")
    await platform.api.createService({ repo: "second", name: "second" })
    const tree = await platform.workTree()
    await tree.commit(nodeApp("two"))
    await platform.api.call("deploy_files", {
      name: "first",
      files: nodeApp("one", { build: 30_000 })
    })

    const files = { name: "third", files: nodeApp("three") }
    const overHttp = await platform.api.call("deploy_files", files).catch((error: unknown) => error)
    assert.instanceOf(overHttp, Refused)
    assert.strictEqual(overHttp.status, 429)
    assert.deepInclude(overHttp.failure, { code: "rate_limited", retry_after: 5, retryable: true })
    assert.strictEqual((await post("/api/v1/deploy_files", files)).headers.get("retry-after"), "5")

    for (const [, connect] of agents) {
      const agent = await connect(platform.url(), platform.key())
      const { error } = await agent.call("deploy_files", files)
      assert.deepInclude(error, { code: "rate_limited", retry_after: 5 })
      await agent.close()
    }

    const pushed = await tree.push(pushUrl)
    assert.notStrictEqual(pushed.code, 0)
    assert.include(pushed.output, "deployments under way as it may: 1")

    await platform.api.call("cancel_deployment", { name: "first" })
    assert.match((await tree.push(pushUrl)).output, /: live \(/u)
    await platform.api.call("deploy_files", files)
    assert.strictEqual((await platform.api.ended("third")).status, "live")
  })
})
