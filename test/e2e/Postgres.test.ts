/** The platform with its rows in Postgres: deploys, survives, is alone, and says what it migrates. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { onPostgres } from "@deploy-mcp/runtime/store/testing/Databases"
import { afterAll, assert, beforeAll, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { endOf, freePort, type Platform, root, spawnControl, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"
import type { WorkTree } from "./WorkTree.ts"

onPostgres((fresh) => {
  let databaseUrl: string
  let platform: Platform
  let tree: WorkTree
  beforeAll(async () => {
    databaseUrl = fresh()
    platform = await startPlatform({ DEPLOY_MCP_DATABASE_URL: databaseUrl })
    tree = await platform.workTree()
  })
  afterAll(() => platform.dispose())

  const push = async (version: string) => {
    await tree.commit(nodeApp(version))
    return tree.push(await platform.api.pushUrl("shop"))
  }
  const answers = (version: string) =>
    eventually(`${version} answers`, () =>
      platform.get("shop").then(
        ({ status, body }) => status === 200 && body.startsWith(version),
        () => false
      )
    )

  it("makes a push a URL, and keeps no database of its own", async () => {
    await platform.api.repository("shop")
    await platform.api.createService({ repo: "shop", name: "shop" })
    assert.match((await push("v1")).output, /shop#1: live/u)
    await answers("v1")
    assert.isFalse(existsSync(join(platform.home, "deploy-mcp.db")))
  })

  it("serves on while control is dead, and goes on where it was killed", async () => {
    await tree.commit(nodeApp("v2", { build: 400, start: 0 }))
    const building = Promise.withResolvers<void>()
    const url = await platform.api.pushUrl("shop")
    const ended = tree.push(url, "HEAD:main", (line) => {
      if (line.startsWith("shop#2: building")) building.resolve()
    })
    await building.promise
    await platform.kill9("control")
    await ended
    await answers("v1")
    await platform.start()
    assert.strictEqual((await platform.api.ended("shop", 2)).status, "live")
    await answers("v2")
    assert.match((await push("v3")).output, /shop#3: live/u)
    await answers("v3")
  })

  it("is alone: a second control on the same database is told who holds it", async () => {
    const ports = { port: await freePort(), appsPort: await freePort() }
    const second = spawnControl(join(platform.folder, "second"), ports, {
      DEPLOY_MCP_DATABASE_URL: databaseUrl
    })
    let output = ""
    second.stderr?.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
    assert.strictEqual(await endOf(second), 1)
    assert.include(output, `is held by deploy-mcp ${platform.pid("control")} on `)
    assert.notInclude(output, databaseUrl)
  })

  const migrate = async (url: string, ...args: ReadonlyArray<string>) => {
    const command = [join(root, "bin/deploy-mcp.mjs"), "migrate", ...args]
    const env = { ...process.env, DEPLOY_MCP_HOME: join(platform.folder, "third") }
    return promisify(execFile)(process.execPath, command, {
      env: { ...env, DEPLOY_MCP_DATABASE_URL: url }
    })
  }

  it("is migrated ahead of a start, and a second time there is nothing to do", async () => {
    const url = fresh()
    assert.match((await migrate(url)).stdout, /is up to date now: 0001_owners, /u)
    const again: unknown = JSON.parse((await migrate(url, "--json")).stdout)
    const database = `Postgres database ${new URL(url).pathname.slice(1)} at ${new URL(url).host}`
    assert.deepStrictEqual(again, { database, applied: [] })
  })

  it("that is not there is named, without its password", async () => {
    const url = `postgres://someone:hunter2@127.0.0.1:${await freePort()}/nothing`
    const failed = await migrate(url).then(
      () => assert.fail("it should not have worked"),
      (error: { readonly stderr: string }) => error.stderr
    )
    assert.match(failed, /cannot use the database .*DEPLOY_MCP_DATABASE_URL/u)
    assert.notInclude(failed, "hunter2")
  })

  it("lets go of everything when it stops", () => platform.stop())
})
