/** A deployment that a crash cut off is told step by step, written to a file and read somewhere else. */
import { randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Replay } from "@deploy-mcp/domain/commands/Replay"
import { Schema } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { runCli } from "./CommandLine.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp } from "./Samples.ts"
import type { WorkTree } from "./WorkTree.ts"

const name = "told"
const secret = `canary-${randomBytes(24).toString("hex")}`

let platform: Platform
let tree: WorkTree
let pushUrl: string
beforeAll(async () => {
  platform = await startPlatform()
  pushUrl = await platform.api.repository(name)
  await platform.api.createService({ repo: name, name, env_vars: { GREETING: secret } })
  tree = await platform.workTree()
})
afterAll(() => platform.dispose())

const cli = (...args: ReadonlyArray<string>) => runCli(platform, args, platform.folder)

/** What the file holds, once no secret was found in it. */
const exported = async (deployment: string, file: string) => {
  const written = await cli("replay", deployment, "--export", file)
  assert.strictEqual(written.code, 0, written.stderr)
  const text = readFileSync(join(platform.folder, file), "utf8")
  assert.strictEqual(statSync(join(platform.folder, file)).mode & 0o777, 0o600)
  for (const planted of [secret, platform.key(), new URL(pushUrl).password]) {
    assert.notInclude(text, planted)
  }
  return Schema.decodeUnknownSync(Schema.fromJsonString(Replay))(text)
}

/** Runs the command line where nothing else of the platform is. */
const elsewhere = (...args: ReadonlyArray<string>) => {
  const other = join(platform.folder, "elsewhere")
  mkdirSync(other, { recursive: true })
  return runCli(platform, args, platform.folder, {
    DEPLOY_MCP_HOME: join(other, "home"),
    DEPLOY_MCP_PORT: "1",
    HOME: other
  })
}

describe("a deployment's history", () => {
  it("shows the step that a crash cut off, and can be read on another machine", async () => {
    await tree.commit(nodeApp("one", { build: 1500 }))
    const building = Promise.withResolvers<void>()
    const pushing = tree.push(pushUrl, "HEAD:main", (line) => {
      if (line.endsWith("building")) building.resolve()
    })
    await building.promise
    await platform.kill9("control")
    await pushing
    await platform.start()
    assert.strictEqual((await platform.api.ended(name, 1)).status, "live")

    const shown = await cli("replay", `${name}#1`)
    assert.strictEqual(shown.code, 0, shown.stderr)
    assert.match(shown.stdout, /^told#1 {2}live/u)
    assert.match(
      shown.stdout,
      /again +build: The step was cut off before its result was written\./u
    )
    assert.match(shown.stdout, /planBuild +\d+ ms +artifact [0-9a-f]{64}\n/u)

    const { retries, status, steps } = await exported(name, "one.json")
    assert.deepStrictEqual([status, retries.map(({ phase }) => phase)], ["live", ["build"]])
    assert.isTrue(steps.every(({ outcome }) => outcome === "done"))
    const again = await cli("replay", name, "--export", "one.json")
    assert.strictEqual(again.code, 1)
    assert.include(again.stderr, "exists already")

    const read = await elsewhere("replay", "--file", "one.json")
    assert.strictEqual(read.code, 0, read.stderr)
    assert.strictEqual(read.stdout, (await cli("replay", `${name}#1`)).stdout)
    assert.strictEqual((await elsewhere("replay", name)).code, 1)
  })

  it("of one that failed says why, without what its programs were given", async () => {
    await tree.commit({
      ...nodeApp("two"),
      "build.js": "console.error(process.env); console.log(process.env.GREETING); process.exit(1)",
      "package.json": JSON.stringify({
        scripts: { build: "node build.js", start: "node server.js" }
      })
    })
    await tree.push(pushUrl)
    const { failure, status, steps } = await exported(`${name}#2`, "two.json")
    assert.deepStrictEqual([status, failure?.code], ["failed", "build_failed"])
    const [failed] = steps.filter(({ outcome }) => outcome === "failed")
    assert.deepStrictEqual([failed?.name, failed?.failure?.code], ["buildArtifact", "build_failed"])
    const shown = await elsewhere("replay", "--file", "two.json")
    assert.include(shown.stdout, "build_failed")
    assert.include(shown.stdout, "next:")
  })

  it("says what is wrong with a file or a name", async () => {
    const missing = await cli("replay", `${name}#99`)
    assert.strictEqual(missing.code, 1)
    assert.include(missing.stderr, "not_found")
    for (const args of [["replay"], ["replay", name, "--file", "one.json"]]) {
      assert.include((await cli(...args)).stderr, "invalid_argument")
    }
    const strange = await cli("replay", "--file", join(platform.home, "owner-key"))
    assert.include(strange.stderr, "can read")
    assert.notInclude(strange.stderr, platform.key())
  })
})
