/**
 * The platform of the previous commit is killed in the middle of a deployment, and the one of this commit
 * starts on the same home: it finishes what was begun, with the edge that is still of the other version,
 * and visitors notice nothing. Nor do they when there is no control for a minute; `npm run chaos -- --away 600`
 * leaves them alone for longer.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { linkModules } from "../chaos/LinkModules.ts"
import { cores, tellRun } from "../chaos/Report.ts"
import { type Platform, root, startPlatform } from "./Platform.ts"
import { together } from "./Requests.ts"
import { nodeApp, site } from "./Samples.ts"

const git = (...args: ReadonlyArray<string>) =>
  execFileSync("git", args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })

const hasHistory = (() => {
  try {
    git("rev-parse", "--verify", "--quiet", "HEAD~1")
    return true
  } catch {
    return false
  }
})()

/** Bundles of the commit before this one, made with this tree's libraries. */
const previousDist = (folder: string): string => {
  const tree = join(folder, "previous")
  const archive = join(folder, "previous.tar")
  mkdirSync(tree)
  git(
    "archive",
    "--output",
    archive,
    "HEAD~1",
    "packages",
    "bin",
    "package.json",
    "package-lock.json"
  )
  execFileSync("tar", ["-xf", archive, "-C", tree])
  linkModules(tree)
  execFileSync(process.execPath, [join(tree, "bin/bundle.mjs")], { stdio: "pipe" })
  return join(tree, "dist")
}

const awaySeconds = Number(process.env.TEST_AWAY_SECONDS ?? 60)

describe.skipIf(!hasHistory)("a platform that is upgraded", () => {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "deploy-mcp-upgrade-"))
  let platform: Platform
  beforeAll(async () => {
    platform = await startPlatform({}, { dist: previousDist(folder) })
  })
  afterAll(async () => {
    await platform?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  it("in the middle of a deployment finishes it, and nobody notices", async () => {
    const url = await platform.api.repository("shop")
    await platform.api.createService({ repo: "shop", name: "shop" })
    const tree = await platform.workTree()
    await tree.commit(nodeApp("v1"))
    assert.match((await tree.push(url)).output, /shop#1: live/u)
    const probe = platform.probe("shop")
    await tree.commit(nodeApp("v2", { build: 500 }))
    const building = Promise.withResolvers<void>()
    const pushed = tree.push(url, "HEAD:main", (line) => {
      if (line.startsWith("shop#2: building")) building.resolve()
    })
    await building.promise
    const edge = platform.pid("edge")
    await platform.kill9("control")
    await pushed
    await platform.start({ dist: join(root, "dist") })
    assert.strictEqual((await platform.api.ended("shop", 2)).status, "live")
    assert.strictEqual((await platform.get("shop")).body.trim(), "v2")
    assert.strictEqual(platform.pid("edge"), edge, "the edge is the one of before")
    await tree.commit(nodeApp("v3"))
    assert.match((await tree.push(url)).output, /shop#3: live/u)
    const { bad, bodies } = await probe.stop()
    assert.deepStrictEqual(bad, [])
    assert.deepStrictEqual(
      bodies.map((body) => body.trim()),
      ["v1", "v2", "v3"]
    )
  })
})

it(`answers every request while control is away for ${awaySeconds} seconds`, {
  timeout: 60_000 + awaySeconds * 1_000
}, async () => {
  const platform = await startPlatform()
  try {
    for (const [name, files] of [
      ["shop", nodeApp("v1")],
      ["page", site("a page")]
    ] as const) {
      await platform.api.call("deploy_files", { name, files })
      assert.strictEqual((await platform.api.ended(name)).status, "live")
    }
    const probes = ["shop", "page"].map((label) => platform.probe(label))
    await platform.kill9("control")
    await pause(awaySeconds * 1_000)
    await platform.start()
    const seen = await Promise.all(probes.map((probe) => probe.stop()))
    const { bad, requests } = together(seen)
    tellRun({ away: { seconds: awaySeconds, cores, requests, failed: bad.length } })
    assert.deepStrictEqual(bad, [])
    for (const { bodies } of seen) assert.lengthOf(bodies, 1)
    await platform.stop()
  } finally {
    await platform.dispose()
  }
})
