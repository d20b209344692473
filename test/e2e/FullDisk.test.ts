/** A disk without room for another byte: what runs is not disturbed, and once there is room all goes on. */
import { execFileSync } from "node:child_process"
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"

const mount = (at: string) =>
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=48m,mode=711", "tmpfs", at], { stdio: "pipe" })
const unmount = (at: string) => execFileSync("umount", ["--lazy", at])

/** That takes more than being root where the machine is a container. */
const canMount = (() => {
  const folder = mkdtempSync(join(tmpdir(), "deploy-mcp-mount-"))
  try {
    mount(folder)
    unmount(folder)
    return true
  } catch {
    return false
  } finally {
    rmdirSync(folder)
  }
})()

describe.skipIf(!canMount)("a disk that is full", () => {
  let platform: Platform
  let mounted = false
  beforeAll(async () => {
    platform = await startPlatform({ DEPLOY_MCP_MIN_FREE_DISK: "0" })
    await platform.stop()
    mount(platform.home)
    mounted = true
    await platform.start()
  })
  afterAll(async () => {
    if (mounted) unmount(platform.home)
    await platform?.dispose()
  })

  /** Takes the room that is left, down to the last byte; answers how to give it back. */
  const fill = () => {
    const path = join(platform.home, "filler")
    const file = openSync(path, "a")
    for (let size = 2 ** 20; size >= 1; size /= 2) {
      const bytes = Buffer.alloc(size)
      try {
        while (writeSync(file, bytes) === size);
      } catch (error) {
        assert.propertyVal(error, "code", "ENOSPC")
      }
    }
    closeSync(file)
    return () => rmSync(path)
  }

  const deploy = (version: string) =>
    platform.api.call("deploy_files", { name: "shop", files: nodeApp(version) })

  it("is said to who wants something new, disturbs no visitor, and is forgotten once there is room", async () => {
    await deploy("one")
    assert.strictEqual((await platform.api.ended("shop")).status, "live")
    const probe = platform.probe("shop")
    const makeRoom = fill()
    const files = { name: "shop", files: nodeApp("two") }
    assert.strictEqual((await platform.api.refused("deploy_files", files)).code, "unavailable")
    const refused = await platform.api.refused("redeploy_service", { name: "shop" })
    assert.deepStrictEqual([refused.code, refused.retryable], ["disk_full", true])
    assert.strictEqual((await platform.api.service("shop")).status, "live")

    await platform.kill9("control")
    makeRoom()
    await platform.start()
    await deploy("three")
    assert.strictEqual((await platform.api.ended("shop")).status, "live")
    const all = await platform.api.deployments("shop")
    assert.deepStrictEqual(
      all.map(({ status }) => status),
      ["live", "replaced"]
    )
    const { bad, bodies } = await probe.stop()
    assert.deepStrictEqual(bad, [])
    assert.deepStrictEqual(bodies, ["one ", "three "])
  })
})
