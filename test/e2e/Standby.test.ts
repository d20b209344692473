/**
 * Two control processes on one Postgres and one home: one acts, the other forwards to it and takes
 * over when the first stops, is killed or freezes. Who asks the second never notices.
 */
import { existsSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { onPostgres } from "@deploy-mcp/runtime/store/testing/Databases"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { agents } from "./Agents.ts"
import { type Api, Refused } from "./Api.ts"
import { type Control, type Controls, controlsOf } from "./Controls.ts"
import { eventually } from "./Eventually.ts"
import { endOf, freePort, type Platform, startPlatform } from "./Platform.ts"
import { ask } from "./Requests.ts"
import { nodeApp } from "./Samples.ts"
import type { WorkTree } from "./WorkTree.ts"

onPostgres((fresh) => {
  let platform: Platform
  let tree: WorkTree
  let controls: Controls
  /** The one that acts, and the one that stands by. */
  let holder: Pick<Control, "api"> & Partial<Control>
  let other: Control

  beforeAll(async () => {
    const env = { DEPLOY_MCP_DATABASE_URL: fresh(), DEPLOY_MCP_TAKEOVER: "2" }
    platform = await startPlatform(env)
    controls = controlsOf(platform, env)
    tree = await platform.workTree()
    holder = platform
    await platform.api.repository("shop")
    await platform.api.createService({ repo: "shop", name: "shop" })
    await push("v1", platform.api)
    other = await controls.standby()
  })
  afterAll(async () => {
    await controls?.dispose()
    await platform.dispose()
  })

  const push = async (version: string, api: Api, slow = {}) => {
    await tree.commit(nodeApp(version, slow))
    const url = new URL(await api.pushUrl("shop"))
    if (api === other?.api) url.port = String(other.port)
    return tree.push(url.href)
  }
  const answers = (version: string) =>
    eventually(`${version} answers`, () =>
      platform.get("shop").then(({ body }) => body.startsWith(version))
    )
  /** Between two holders there is no file. */
  const pid = () => (existsSync(`${platform.home}/run/control.pid`) ? platform.pid("control") : 0)
  const acts = (control: Control) =>
    eventually("the other one acts", () => pid() === control.child.pid)

  /** Reads through the control that stands by, again and again; what failed. */
  const asking = (api: Api) => {
    const failed: Array<string> = []
    let [on, count] = [true, 0]
    const one = async () => {
      while (on) {
        await api.whoami().catch((error: unknown) => failed.push(String(error)))
        count++
        await pause(5)
      }
    }
    const running = Promise.all([one(), one()])
    return {
      more: (wanted: number) => {
        const from = count
        return eventually(`${wanted} more requests end`, () => count >= from + wanted)
      },
      stop: async () => {
        on = false
        await running
        return failed
      }
    }
  }

  describe("one that stands by", () => {
    it("answers what the holder answers: the API, git and MCP", async () => {
      const livez = await ask({ port: other.port, host: "localhost", path: "/livez" })
      assert.strictEqual(livez.body, "standing by\n")
      assert.deepStrictEqual(await other.api.whoami(), await holder.api.whoami())
      assert.match((await push("v2", other.api)).output, /shop#2: live/u)
      await answers("v2")
      for (const [label, connect] of agents) {
        const agent = await connect(`http://127.0.0.1:${other.port}`, platform.key())
        assert.include(JSON.stringify(await agent.call("list_services")), "shop", label)
        await agent.close()
      }
    })

    it("is refused where it could not take over, with what would have to be so", async () => {
      const { port, appsPort } = platform.ports()
      const free = await freePort()
      for (const [ports, home, reason] of [
        [{ port, appsPort }, platform.home, "DEPLOY_MCP_PORT"],
        [{ port: free, appsPort: free }, platform.home, "DEPLOY_MCP_APPS_PORT"],
        [{ port: free, appsPort }, `${platform.folder}/elsewhere`, platform.home]
      ] as const) {
        const refused = controls.spawned(ports, home)
        assert.strictEqual(await endOf(refused.child), 1)
        assert.include(refused.output(), reason)
        assert.notMatch(refused.output(), /^\s+at /mu)
      }
    })
  })

  /** Starts what ended again, to stand by for the one that took over. */
  const swap = async () => {
    holder = other
    other = await controls.standby()
  }

  it("takes over from one that is stopped, and no request fails", async () => {
    const edge = platform.pid("edge")
    const [asked, probe] = [asking(other.api), platform.probe("shop")]
    await asked.more(10)
    process.kill(platform.pid("control"), "SIGTERM")
    await acts(other)
    await asked.more(10)
    assert.deepStrictEqual(await asked.stop(), [])
    assert.deepStrictEqual((await probe.stop()).bad, [])
    assert.strictEqual(platform.pid("edge"), edge)
    assert.match((await push("v3", other.api)).output, /shop#3: live/u)
    await swap()
  })

  it("takes over from one that is killed, and ends what that one had begun", async () => {
    const probe = platform.probe("shop")
    await tree.commit(nodeApp("v4", { build: 500 }))
    const building = Promise.withResolvers<void>()
    const ended = tree.push(await holder.api.pushUrl("shop"), "HEAD:main", (line) => {
      if (line.startsWith("shop#4: building")) building.resolve()
    })
    await building.promise
    await platform.kill9("control")
    // What reached the dying process is answered by "try again", which is what its client does.
    const live = await eventually("the deployment has ended", () =>
      other.api.ended("shop", 4).catch((error: unknown) => {
        if (error instanceof Refused && error.failure.retryable) return undefined
        throw error
      })
    )
    assert.strictEqual(live.status, "live")
    await ended
    await answers("v4")
    assert.deepStrictEqual((await probe.stop()).bad, [])
    await swap()
  })

  it("takes over from one that is frozen, which ends when it wakes and touches nothing", async () => {
    const [edge, frozen] = [platform.pid("edge"), holder.child]
    assert.strictEqual(frozen?.pid, platform.pid("control"))
    const probe = platform.probe("shop")
    frozen?.kill("SIGSTOP")
    await acts(other)
    assert.match((await push("v5", other.api)).output, /shop#5: live/u)
    frozen?.kill("SIGCONT")
    assert.strictEqual(frozen && (await endOf(frozen)), 1)
    await answers("v5")
    assert.strictEqual((await other.api.ended("shop", 5)).status, "live")
    assert.deepStrictEqual((await probe.stop()).bad, [])
    assert.strictEqual(platform.pid("edge"), edge)
    assert.strictEqual(platform.pid("control"), other.child.pid)
  })
})
