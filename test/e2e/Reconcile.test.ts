/** A home that somebody put his hands into: the next start says what it finds, mends it, and the one after finds nothing. */
import { existsSync, mkdirSync, renameSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { runCli } from "./CommandLine.ts"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { differencesAtStart, reconciled } from "./Reconciled.ts"
import { ask } from "./Requests.ts"

const nobody = "0".repeat(20)
const longAgo = new Date(Date.now() - 24 * 60 * 60_000)

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

describe("a home that was changed by hand", () => {
  it("is found, said and mended at the next start", async () => {
    const { api } = platform
    await api.call("deploy_files", { name: "web", files: { "index.html": "<h1>here</h1>" } })
    await eventually("web is live", async () => (await platform.get("web")).status === 200)
    await eventually("the first comparison is over", () => reconciled(platform) !== null)
    assert.deepStrictEqual(reconciled(platform)?.differences, [])
    await platform.stop()

    const inHome = (...path: ReadonlyArray<string>) => join(platform.home, ...path)
    const orphans = {
      work_directory: inHome("work", `dep_${nobody}`),
      artifact: inHome("artifacts", "f".repeat(64)),
      build_log: inHome("logs", "deployments", `dep_${nobody}.ndjson`),
      repository: inHome("git", `rep_${nobody}.git`)
    }
    mkdirSync(join(orphans.work_directory, "source"), { recursive: true })
    mkdirSync(orphans.artifact)
    writeFileSync(orphans.build_log, "")
    mkdirSync(join(orphans.repository, "objects", "info"), { recursive: true })
    for (const path of Object.values(orphans)) utimesSync(path, longAgo, longAgo)
    const young = inHome("work", `dep_${"1".repeat(20)}`)
    mkdirSync(young, { recursive: true })
    const db = new DatabaseSync(inHome("deploy-mcp.db"))
    db.exec("UPDATE releases SET state = 'retired'")
    const [row] = db.prepare("SELECT id FROM repositories").all()
    db.close()
    const theirs = inHome("git", `${row?.id}.git`)
    renameSync(theirs, inHome("git", "put-aside"))

    const found = await differencesAtStart(platform)
    const kinds = found.map(({ kind }) => kind).sort()
    for (const kind of [...Object.keys(orphans), "live_release", "repository"]) {
      assert.include(kinds, kind, platform.output())
    }
    assert.isTrue(found.every(({ outcome }) => outcome === "mended"))
    for (const [kind, path] of Object.entries(orphans)) assert.isFalse(existsSync(path), kind)
    assert.isTrue(existsSync(young), "what is young may be in the making")
    assert.isTrue(existsSync(join(theirs, "HEAD")))
    assert.include(platform.output(), `The work directory of deployment dep_${nobody} is there`)
    assert.strictEqual((await platform.get("web")).status, 200)

    const metrics = await ask({ port: platform.ports().port, host: "localhost", path: "/metrics" })
    assert.match(
      metrics.body,
      /deploy_mcp_reconcile_differences_total\{[^}]*kind="artifact"[^}]*\} 1/u
    )
    const doctor = await runCli(platform, ["doctor"], platform.folder)
    assert.match(doctor.stdout, /reconcile .*differences mended/u)
  })

  it("is as rows say at the start after that", async () => {
    await platform.stop()
    assert.deepStrictEqual(await differencesAtStart(platform), [])
    assert.strictEqual((await platform.get("web")).status, 200)
  })
})
