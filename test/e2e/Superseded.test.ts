/** A push that is overtaken while it is built ends at once, and nothing of it is left. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { processesWith } from "./Remains.ts"
import { nodeApp } from "./Samples.ts"

const name = "overtaken"
const mark = "a-build-that-nobody-waits-for"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

/** Builds for ten minutes, with a process of its own that goes on without it. */
const endless = {
  ...nodeApp("slow", { build: 1 }),
  "build.js": `const { spawn } = require("node:child_process")
const env = { ...process.env, MARK: "${mark}" }
const wait = ["-e", "setTimeout(() => {}, 600_000)"]
spawn(process.execPath, wait, { env, detached: true, stdio: "ignore" }).unref()
require("node:fs").writeFileSync("half-done", "x".repeat(1_000_000))
console.log("half done")
setTimeout(() => {}, 600_000)`
}

const entriesOf = (folder: string): ReadonlyArray<string> => {
  const path = join(platform.home, folder)
  return existsSync(path) ? readdirSync(path) : []
}

const rows = (sql: string): ReadonlyArray<Record<string, unknown>> => {
  const database = new DatabaseSync(join(platform.home, "deploy-mcp.db"), { readOnly: true })
  try {
    return database.prepare(sql).all()
  } finally {
    database.close()
  }
}

describe("a running build for an older push", () => {
  it("ends at once, leaves nothing, and the newer push is live", async () => {
    const url = await platform.api.repository(name)
    await platform.api.createService({ repo: name, name })
    const tree = await platform.workTree()
    await tree.commit(nodeApp("v1"))
    assert.match((await tree.push(url)).output, /overtaken#1: live/u)
    await eventually("the first one is done", () => entriesOf("work").length === 0)

    await tree.commit(endless)
    const building = Promise.withResolvers<void>()
    const older = tree.push(url, "HEAD:main", (line) => {
      if (line.includes("half done")) building.resolve()
    })
    await building.promise
    assert.isNotEmpty(processesWith(mark))
    assert.lengthOf(entriesOf("work"), 1)

    await tree.commit(nodeApp("v3"))
    const [overtaken, newer] = await Promise.all([older, tree.push(url)])
    assert.match(newer.output, /overtaken#3: live/u)
    assert.match(overtaken.output, /overtaken#2: superseded/u)
    assert.strictEqual((await platform.get(name)).body, "v3 ")

    await eventually("its processes are gone", () => processesWith(mark).length === 0)
    await eventually("its folder is gone", () => entriesOf("work").length === 0)
    const kept = rows("SELECT artifact_key FROM releases").map((row) => row.artifact_key)
    const there = entriesOf("artifacts").map((entry) => entry.split(".")[0])
    assert.sameMembers([...new Set(there)], kept)
    assert.deepStrictEqual(
      rows(
        "SELECT number, status, finished_at IS NULL AS open, release_id IS NULL AS bare FROM deployments ORDER BY number"
      ).map((row) => ({ ...row })),
      [
        { number: 1, status: "committed", open: 0, bare: 0 },
        { number: 2, status: "superseded", open: 0, bare: 1 },
        { number: 3, status: "committed", open: 0, bare: 0 }
      ]
    )
    const half = [
      "SELECT * FROM deployment_phases WHERE ended_at IS NULL",
      "SELECT * FROM releases WHERE state NOT IN ('live', 'retired')",
      `SELECT * FROM releases WHERE deployment_id IN
        (SELECT id FROM deployments WHERE status = 'superseded')`
    ]
    for (const sql of half) assert.deepStrictEqual(rows(sql), [], sql)
  })
})
