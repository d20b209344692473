/**
 * The machine's clock is set in the middle of all that the platform does: an hour, a day and two days, forward
 * and back. Deployments end as they would have, nobody's request fails, and nothing is taken for old or for new
 * that is not.
 */
import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onPostgres } from "@deploy-mcp/runtime/store/testing/Databases"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { controlsOf } from "./Controls.ts"
import { eventually } from "./Eventually.ts"
import { type Platform, root, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"
import { hasWallClock, wallClockIn } from "./WallClock.ts"
import type { WorkTree } from "./WorkTree.ts"

const hour = 3_600
const day = 24 * hour

const folder = mkdtempSync(join(realpathSync(tmpdir()), "deploy-mcp-clock-"))
const clock = wallClockIn(folder)
afterAll(() => {
  clock.clear()
  rmSync(folder, { recursive: true, force: true })
})
const clocked = { ...clock.env, DEPLOY_MCP_EDGE: clock.around(join(root, "dist/edge.mjs")) }

let platform: Platform
let tree: WorkTree
/** Of what was pushed last; deployments have numbers of their own. */
let version: number

const setUp = async (env: Readonly<Record<string, string>>) => {
  clock.set(0)
  platform = await startPlatform(env)
  const url = await platform.api.repository("shop")
  await platform.api.createService({ repo: "shop", name: "shop" })
  tree = await platform.workTree()
  version = 1
  await tree.commit(nodeApp("v1"))
  assert.match((await tree.push(url)).output, /shop#1: live/u)
}
const takeDown = () => platform?.dispose()

/** Pushes the next version, and sets the clock while it is built and while it is awaited. */
const pushWhile = async (inBuild: number, inHealth: number) => {
  version += 1
  await tree.commit(nodeApp(`v${version}`, { build: 300, start: 1_500 }))
  const pushed = await tree.push(await platform.api.pushUrl("shop"), "HEAD:main", (line) => {
    if (line.endsWith(": building")) clock.set(inBuild)
    if (line.endsWith(": waiting until it answers")) clock.set(inHealth)
  })
  assert.match(pushed.output, /shop#\d+: live/u)
  assert.strictEqual((await platform.get("shop")).body.trim(), `v${version}`)
  const { phases } = await platform.api.ended("shop")
  assert.deepStrictEqual(
    phases.map(({ phase }) => phase),
    ["queued", "source", "build", "start", "health", "route"]
  )
  assert.isEmpty(
    phases.filter(({ ms }) => ms < 0),
    pushed.output
  )
}

/** Kills control while the next version is built; answers its commit. */
const killWhileBuilt = async () => {
  version += 1
  const commit = await tree.commit(nodeApp(`v${version}`, { build: 500 }))
  const building = Promise.withResolvers<void>()
  const pushed = tree.push(await platform.api.pushUrl("shop"), "HEAD:main", (line) => {
    if (line.endsWith(": building")) building.resolve()
  })
  await building.promise
  await platform.kill9("control")
  await pushed
  return commit
}

describe("a clock that is set", () => {
  if (!hasWallClock) return it.skip("needs libfaketime")
  beforeAll(() => setUp(clocked))
  afterAll(takeDown)

  it.each([
    ["an hour forward and two back", hour, -hour],
    ["two days forward and three back", 2 * day, -day],
    ["a day forward and two more", 0, 2 * day]
  ])("%s while it is deployed is not noticed", async (_, inBuild, inHealth) => {
    const probe = platform.probe("shop")
    await pushWhile(inBuild, inHealth)
    const { bad, bodies } = await probe.stop()
    assert.deepStrictEqual(bad, [])
    assert.deepStrictEqual(
      bodies.map((body) => body.trim()),
      [`v${version - 1}`, `v${version}`]
    )
  })

  it("back across a kill of control keeps what was begun, and the order of deployments and lines", async () => {
    const probe = platform.probe("shop")
    clock.set(2 * day)
    const commit = await killWhileBuilt()
    clock.set(-day)
    await platform.start()
    const ended = await platform.api.ended("shop")
    assert.deepStrictEqual([ended.status, ended.commit], ["live", commit])
    await pushWhile(-day, -day)
    const all = await platform.api.deployments("shop")
    assert.deepStrictEqual(
      all.map(({ number, status }) => [number, status]),
      all.map((_, at) => [version - at, at === 0 ? "live" : "replaced"])
    )
    const lines = await platform.api.runtimeLog("shop")
    assert.deepStrictEqual(
      lines.filter((line) => line.endsWith("listens")),
      Array.from({ length: version }, (_, at) => `v${at + 1} listens`)
    )
    assert.deepStrictEqual((await probe.stop()).bad, [])
  })

  const restored = async () => {
    await platform.api.call("restore_service", { name: "shop" })
    assert.strictEqual((await platform.api.ended("shop")).status, "live")
    assert.strictEqual((await platform.get("shop")).body.trim(), `v${version}`)
  }

  it("leaves in the trash what was put there a moment ago", async () => {
    await platform.api.remove("shop")
    clock.set(2 * day)
    await platform.kill9("control")
    await platform.start()
    await restored()
    await platform.api.remove("shop")
    clock.set(-day)
    await restored()
  })

  it("back does not keep a service on demand awake", async () => {
    const change = { name: "shop", mode: "on_demand", idle_after: 10 }
    await platform.api.call("update_service", change)
    assert.strictEqual((await platform.api.ended("shop")).status, "live")
    clock.set(-2 * day)
    await eventually("it sleeps", async () =>
      (await platform.api.service("shop")).next.includes("asleep until the next request")
    )
    clock.set(2 * day)
    assert.strictEqual((await platform.get("shop")).body.trim(), `v${version}`)
  })
})

describe("two controls whose clocks are days apart", () => {
  if (!hasWallClock) return it.skip("need libfaketime")
  onPostgres((fresh) => {
    it("take over from each other when one is dead, and not before", async () => {
      const env = { DEPLOY_MCP_DATABASE_URL: fresh(), DEPLOY_MCP_TAKEOVER: "2" }
      await setUp({ ...env, ...clocked })
      const controls = controlsOf(platform, env)
      try {
        const probe = platform.probe("shop")
        const other = await controls.standby()
        const acting = platform.pid("control")
        await pushWhile(2 * day, -day)
        assert.strictEqual(platform.pid("control"), acting)
        clock.set(2 * day)
        const commit = await killWhileBuilt()
        const live = await eventually("the other one has ended it", () =>
          other.api.ended("shop").catch(() => undefined)
        )
        assert.deepStrictEqual([live.status, live.commit], ["live", commit])
        assert.strictEqual((await platform.get("shop")).body.trim(), `v${version}`)
        assert.deepStrictEqual((await probe.stop()).bad, [])
      } finally {
        await controls.dispose()
        await takeDown()
      }
    })
  })
})
