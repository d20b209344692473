/** Deploying without git, changing settings and going back, on the real platform. */
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

  it("leaves nothing after a stop", () => platform.stop())
})
