/**
 * kill -9 of control while it carries out a write: whether the answer was lost or the write itself, the
 * same call with the same key again ends with exactly one effect.
 */

import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"

let platform: Platform
/** Writes whose effect was there when the answer was not. */
let lost = 0

beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

/** Looks without a pause, so that nothing comes between what it sees and what is done then. */
const untilRow = (sql: string, before: number): void => {
  const database = new DatabaseSync(join(platform.home, "deploy-mcp.db"), { readOnly: true })
  const query = database.prepare(sql)
  const deadline = performance.now() + 20_000
  while (query.all().length === before && performance.now() < deadline);
  database.close()
}

const rowsOf = (sql: string): ReadonlyArray<unknown> => {
  const database = new DatabaseSync(join(platform.home, "deploy-mcp.db"), { readOnly: true })
  const rows = database.prepare(sql).all()
  database.close()
  return rows
}

/** Calls, kills control when a row of `watched` is there that was not, and calls again. */
const callTwice = async (tool: string, args: Record<string, unknown>, watched: string) => {
  const before = rowsOf(watched).length
  const given = { ...args, idempotency_key: `${tool}-${before}` }
  const first = platform.api.call(tool, given).then(
    () => true,
    () => false
  )
  // The request leaves this process before the loop that looks holds it up.
  await new Promise((resolve) => setTimeout(resolve, 2))
  untilRow(watched, before)
  process.kill(platform.pid("control"), "SIGKILL")
  if (!(await first)) lost += 1
  await platform.kill9("control").catch(() => {})
  await platform.start()
  return platform.api.call(tool, given)
}

const services = "SELECT id FROM services"
const deployments = "SELECT id FROM deployments"

describe("a write with a key that is cut off by a crash, and made again", () => {
  it("is one commit, one service and one deployment, when files are deployed", async () => {
    for (const watched of ["SELECT id FROM repositories", services]) {
      const name = watched === services ? "second" : "first"
      await callTwice("deploy_files", { name, files: nodeApp(name) }, watched)
      assert.strictEqual((await platform.api.ended(name)).status, "live")
      assert.lengthOf(await platform.api.deployments(name), 1)
      const [deployed] = await platform.api.deployments(name)
      const tree = await platform.workTree()
      await tree.git("fetch", await platform.api.pushUrl(name), "main")
      const { stdout } = await tree.git("rev-list", "FETCH_HEAD")
      assert.strictEqual(stdout.trim(), deployed?.commit)
    }
    assert.lengthOf(rowsOf(services), 2)
  })

  it("is one deployment, when a service is created or deployed again", async () => {
    await callTwice("create_service", { repo: "first", name: "third" }, deployments)
    await platform.api.ended("third")
    assert.lengthOf(await platform.api.deployments("third"), 1)
    for (const earlier of [1, 2]) {
      await callTwice("redeploy_service", { name: "third" }, deployments)
      assert.strictEqual((await platform.api.ended("third")).status, "live")
      assert.lengthOf(await platform.api.deployments("third"), earlier + 1)
    }
  })

  it("is one deletion, which is undone once", async () => {
    const trashed = "SELECT id FROM services WHERE trashed_at IS NULL"
    await callTwice("delete_service", { name: "third" }, trashed)
    assert.strictEqual((await platform.get("third")).status, 404)
    await callTwice("restore_service", { name: "third" }, trashed)
    assert.strictEqual((await platform.api.ended("third")).status, "live")
    assert.lengthOf(await platform.api.deployments("third"), 4)
    assert.lengthOf(rowsOf(services), 3)
  })

  it("has lost answers on the way, so that this was tried", () => {
    assert.isAbove(lost, 0)
  })
})
