/** Deploying without git, changing settings and going back, on the real platform. */
import { allTools } from "@deploy-mcp/mcp/Catalog"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

const name = "undone"
const call = (tool: string, args: Record<string, unknown> = {}) =>
  platform.api.call(tool, { name, ...args })
const page = async () => (await platform.get(name)).body
const live = async (number: number) => {
  const { deployment, status, phases } = await platform.api.ended(name, number)
  assert.deepStrictEqual([deployment, status], [`${name}#${number}`, "live"])
  return phases
}

describe("a service without a push", () => {
  it("is deployed from files, changed, rolled back, deleted and restored", async () => {
    await call("deploy_files", { files: nodeApp("one"), message: "one" })
    await live(1)
    assert.include(await page(), "one")
    await call("deploy_files", { files: nodeApp("two") })
    await live(2)
    assert.include(await page(), "two")

    await call("update_service", { env_vars: { GREETING: "hello" }, runtime_only: ["GREETING"] })
    await live(3)
    const { env, revision } = await platform.api.service(name)
    assert.strictEqual(revision, 2)
    assert.deepStrictEqual(
      env.map((variable) => [variable.name, variable.runtime_only]),
      [["GREETING", true]]
    )

    await call("rollback_service", { to: `${name}#1` })
    await live(4)
    assert.include(await page(), "one")
    // A start of control looks for pushes that it missed; a rollback is none.
    await platform.stop()
    await platform.start()
    assert.include(await page(), "one")
    assert.lengthOf(await platform.api.deployments(name), 4)
    const late = await platform.api.refused("cancel_deployment", { name })
    assert.strictEqual(late.code, "too_late")

    await call("delete_service", { plan: true })
    assert.strictEqual((await platform.get(name)).status, 200)
    await call("delete_service")
    assert.strictEqual((await platform.get(name)).status, 404)
    await call("restore_service")
    await live(5)
    assert.include(await page(), "one")

    const followed = await platform.api.refused("delete_repo", { name, confirm: name })
    assert.deepStrictEqual(
      [followed.code, followed.evidence],
      ["repository_in_use", ["default/undone"]]
    )
    await call("delete_service")
    await call("delete_repo", { confirm: name })
  })

  it("and each call that destroys something names its undo, or says that there is none", async () => {
    const files = nodeApp("one")
    const key = { name: "spare", scopes: ["services:read"] }
    /** What is there before, what the call is given, and the undo that its answer must name. */
    const destroying: Readonly<
      Record<
        string,
        { before?: ReadonlyArray<readonly [string, object]>; args?: object; undo: RegExp }
      >
    > = {
      deploy_files: {
        before: [["deploy_files", { files }]],
        args: { files },
        undo: /rollback_service/
      },
      cancel_deployment: {
        before: [["deploy_files", { files: nodeApp("two", { build: 60_000 }) }]],
        undo: /redeploy_service/
      },
      delete_service: { undo: /restore_service/ },
      delete_repo: { args: { confirm: name }, undo: /cannot be brought back.*create_repo/ },
      revoke_key: { before: [["create_key", key]], args: { name: key.name }, undo: /create_key/ }
    }
    const tools = allTools.filter(({ hints }) => hints.destructive).map((tool) => tool.name)
    assert.sameMembers(Object.keys(destroying), tools)
    for (const [tool, { before = [], args = {}, undo }] of Object.entries(destroying)) {
      for (const [earlier, given] of before) await call(earlier, { ...given })
      const answer = await call(tool, { ...args })
      assert.match(JSON.stringify(answer), undo, tool)
    }
  })

  it("leaves nothing after a stop", () => platform.stop())
})
