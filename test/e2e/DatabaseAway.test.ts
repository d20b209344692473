/**
 * The database freezes, and is killed, in the middle of deployments: visitors notice nothing, and once it is
 * back what was begun ends.
 */
import { setTimeout as pause } from "node:timers/promises"
import { onPostgres } from "@deploy-mcp/runtime/store/testing/Databases"
import { afterAll, assert, beforeAll, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"
import type { WorkTree } from "./WorkTree.ts"

onPostgres((fresh, server) => {
  let platform: Platform
  let tree: WorkTree
  let url: string
  let deployments = 1
  beforeAll(async () => {
    platform = await startPlatform({ DEPLOY_MCP_DATABASE_URL: fresh() })
    url = await platform.api.repository("shop")
    await platform.api.createService({ repo: "shop", name: "shop" })
    tree = await platform.workTree()
    await tree.commit(nodeApp("v1"))
    await tree.push(url)
  })
  afterAll(() => platform?.dispose())

  /** Pushes a version and resolves in the middle of its build. */
  const building = async (version: string, number: number) => {
    await tree.commit(nodeApp(version, { build: 400 }))
    const begun = Promise.withResolvers<void>()
    const pushed = tree.push(url, "HEAD:main", (line) => {
      if (line.startsWith(`shop#${number}: building`)) begun.resolve()
    })
    await begun.promise
    return { pushed }
  }

  it.each([
    [
      "frozen",
      async () => {
        server().signal("SIGSTOP")
        await pause(4_000)
        server().signal("SIGCONT")
      }
    ],
    [
      "killed",
      async () => {
        await server().kill()
        await pause(2_000)
        await server().startAgain()
      }
    ]
  ] as const)("that is %s takes nobody along", async (_, takeAway) => {
    const number = ++deployments
    const probe = platform.probe("shop")
    const { pushed } = await building(`v${number}`, number)
    await takeAway()
    // Control may start anew meanwhile, and is asked again.
    const ended = await eventually("the deployment has ended", async () => {
      const [newest] = await platform.api.deployments("shop").catch(() => [])
      return newest?.number === number && newest.finished_at !== null && newest
    })
    assert.strictEqual(ended.status, "live", JSON.stringify(ended.failure))
    assert.strictEqual((await platform.get("shop")).body.trim(), `v${number}`)
    const { bad, count } = await probe.stop()
    assert.deepStrictEqual(bad, [])
    assert.isAbove(count, 100)
    await pushed
  })
})
