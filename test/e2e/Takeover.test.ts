/**
 * Two control processes on one Postgres, again and again: the one that acts is killed or frozen at a random
 * moment of a push, the other takes over. What was pushed is live once, and no visitor notices.
 * `npm run chaos -- --takeovers 500` does it for longer.
 */
import { setTimeout as pause } from "node:timers/promises"
import { chanceOf } from "@deploy-mcp/domain/chaos/Chance"
import { onPostgres } from "@deploy-mcp/runtime/store/testing/Databases"
import { afterAll, assert, beforeAll, it } from "vitest"
import { cores, tellRun } from "../chaos/Report.ts"
import { Refused } from "./Api.ts"
import { type Control, type Controls, controlsOf } from "./Controls.ts"
import { eventually } from "./Eventually.ts"
import { endOf, type Platform, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"

const trials = Number(process.env.TEST_TAKEOVERS ?? 20)
const takeoverSeconds = 2

onPostgres((fresh) => {
  let platform: Platform
  let controls: Controls
  beforeAll(async () => {
    const env = { DEPLOY_MCP_DATABASE_URL: fresh(), DEPLOY_MCP_TAKEOVER: `${takeoverSeconds}` }
    platform = await startPlatform(env)
    controls = controlsOf(platform, env)
    await platform.api.repository("shop")
    await platform.api.createService({ repo: "shop", name: "shop" })
  })
  afterAll(async () => {
    await controls?.dispose()
    await platform?.dispose()
  })

  it(`of ${trials} takeovers each finishes what was begun, once`, {
    timeout: 120_000 + trials * 30_000
  }, async () => {
    const chance = chanceOf("takeovers")
    const tree = await platform.workTree()
    await tree.commit(nodeApp("v0"))
    await tree.push(await platform.api.pushUrl("shop"))
    const probe = platform.probe("shop")
    let holder: Pick<Control, "api"> & Partial<Control> = platform
    const outcomes: Array<{ readonly how: string; readonly ms: number }> = []
    for (let trial = 1; trial <= trials; trial += 1) {
      const other = await controls.standby()
      const how = chance.happens(0.5) ? "killed" : "frozen"
      const commit = await tree.commit(nodeApp(`v${trial}`, { build: 300 }))
      const url = new URL(await holder.api.pushUrl("shop"))
      const pushed = tree.push(url.href)
      await pause(chance.below(700))
      const acting = platform.pid("control")
      process.kill(acting, how === "killed" ? "SIGKILL" : "SIGSTOP")
      const since = performance.now()
      await eventually("the other one acts", () => hasTakenOver(other))
      outcomes.push({ how, ms: Math.round(performance.now() - since) })
      if (how === "frozen") {
        process.kill(acting, "SIGCONT")
        if (holder.child !== undefined) assert.strictEqual(await endOf(holder.child), 1)
      }
      await pushed
      // A push that nobody took is repeated by whoever pushed; one that was taken is not made twice.
      url.port = String(other.port)
      assert.strictEqual((await tree.push(url.href)).code, 0)
      const ended = await other.api.ended("shop").catch((error: unknown) => {
        if (error instanceof Refused && error.failure.retryable) return other.api.ended("shop")
        throw error
      })
      assert.deepStrictEqual([ended.status, ended.commit], ["live", commit])
      const all = await other.api.deployments("shop")
      const same = all.filter((one) => one.commit === commit)
      assert.lengthOf(same, 1, `trial ${trial}: one deployment for one push`)
      assert.strictEqual((await platform.get("shop")).body.trim(), `v${trial}`)
      holder = other
    }
    const { bad, count } = await probe.stop()
    const slowestMs = Math.max(...outcomes.map(({ ms }) => ms))
    const frozen = outcomes.filter(({ how }) => how === "frozen").length
    const of = { trials, killed: trials - frozen, frozen, takeoverSeconds, slowestMs }
    tellRun({ takeovers: { ...of, cores, requests: count, failed: bad.length } })
    assert.deepStrictEqual(bad, [])
  })

  const hasTakenOver = (other: Control): boolean => {
    try {
      return platform.pid("control") === other.child.pid
    } catch {
      return false
    }
  }
})
