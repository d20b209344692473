/**
 * What a series of pushes comes to: the head of the branch wins, whatever came before it failed, was
 * overtaken or was deleted.
 */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp, program } from "./Samples.ts"
import type { Files, WorkTree } from "./WorkTree.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform?.dispose())

const setUp = async (name: string) => {
  const url = await platform.api.repository(name)
  await platform.api.createService({ repo: name, name })
  return { name, url, tree: await platform.workTree() }
}

const pushLive = async (service: Pushable, files: Files): Promise<void> => {
  await service.tree.commit(files)
  const pushed = await service.tree.push(service.url)
  assert.match(pushed.output, new RegExp(`${service.name}#\\d+: live \\(`), pushed.output)
}

interface Pushable {
  readonly name: string
  readonly url: string
  readonly tree: WorkTree
}

describe("a broken push", () => {
  it("fails as the first one of a service: nothing is live, and the page says so", async () => {
    const service = await setUp("stillborn")
    await service.tree.commit(program("process.exit(1)"))
    const pushed = await service.tree.push(service.url)
    assert.match(pushed.output, /stillborn#1: failed in start: exited/u)
    assert.strictEqual((await platform.api.service("stillborn")).status, "failed")
    const answer = await platform.get("stillborn", { headers: { accept: "application/json" } })
    assert.isAtLeast(answer.status, 400)
    assert.isObject(JSON.parse(answer.body))
    await pushLive(service, nodeApp("alive"))
    assert.strictEqual((await platform.get("stillborn")).body, "alive ")
  })
})

describe("a push is only a hint", () => {
  it("A, B and A again end with A", async () => {
    const service = await setUp("aba")
    const commits: Array<string> = []
    for (const version of ["a", "b"]) {
      commits.push(await service.tree.commit(nodeApp(version)))
      await service.tree.push(service.url)
    }
    const [a = ""] = commits
    const pushed = await service.tree.push(service.url, `${a}:main`)
    assert.match(pushed.output, /aba#3: live/u)
    assert.strictEqual((await platform.get("aba")).body, "a ")
    const { live_commit } = await platform.api.service("aba")
    assert.strictEqual(live_commit, a)
  })

  it("pushes faster than deployments end with the newest one live and none in between", async () => {
    const service = await setUp("hasty")
    await pushLive(service, nodeApp("v0"))
    const pushes: Array<Promise<unknown>> = []
    for (const version of ["v1", "v2", "v3", "v4"]) {
      const commit = await service.tree.commit(nodeApp(version, { build: 300 }))
      pushes.push(service.tree.push(service.url, `${commit}:main`))
    }
    await Promise.all(pushes)
    await service.tree.push(service.url)
    const newest = await platform.api.ended("hasty")
    assert.strictEqual(newest.status, "live")
    const { live_commit } = await platform.api.service("hasty")
    const { stdout } = await service.tree.git("ls-remote", service.url, "refs/heads/main")
    assert.strictEqual(live_commit, stdout.slice(0, 40))
    const all = await platform.api.deployments("hasty")
    assert.isTrue(all.every(({ finished_at }) => finished_at !== null))
    assert.lengthOf(
      all.filter(({ status }) => status === "live"),
      1
    )
  })

  it("one commit on two branches deploys the followers of each, once", async () => {
    const url = await platform.api.repository("twin")
    await platform.api.createService({ repo: "twin", name: "twin-main" })
    await platform.api.createService({ repo: "twin", name: "twin-next", branch: "next" })
    const tree = await platform.workTree()
    await tree.commit(nodeApp("same"))
    await tree.push(url, "HEAD:main")
    assert.lengthOf(await platform.api.deployments("twin-next"), 0)
    await tree.push(url, "HEAD:next")
    for (const name of ["twin-main", "twin-next"]) {
      assert.strictEqual((await platform.get(name)).body, "same ")
      assert.lengthOf(await platform.api.deployments(name), 1)
    }
  })

  it("a push of nothing new deploys nothing", async () => {
    const service = await setUp("quiet")
    await pushLive(service, nodeApp("v1"))
    const again = await service.tree.push(service.url)
    assert.strictEqual(again.code, 0, again.output)
    assert.lengthOf(await platform.api.deployments("quiet"), 1)
  })

  it("a late duplicate of a push is answered with what came of the first one", async () => {
    const url = await platform.api.repository("echo")
    await platform.api.createService({ repo: "echo", name: "echo", branch: "next" })
    const tree = await platform.workTree()
    await tree.commit(nodeApp("v1"))
    await tree.push(url, "HEAD:next")
    const gone = await tree.push(url, ":next")
    assert.strictEqual(gone.code, 0, gone.output)
    assert.strictEqual((await platform.get("echo")).body, "v1 ")
    const again = await tree.push(url, "HEAD:next")
    assert.match(again.output, /echo#1: live/u)
    assert.lengthOf(await platform.api.deployments("echo"), 1)
  })

  it("a redeploy makes another deployment of the same commit and build", async () => {
    const probe = platform.probe("quiet")
    const asked = await platform.api.redeploy("quiet")
    assert.strictEqual(asked.number, 2)
    assert.strictEqual(asked.cause, "redeploy")
    const ended = await platform.api.ended("quiet", 2)
    assert.strictEqual(ended.status, "live")
    assert.include((await platform.api.buildLog("quiet", 2)).join("\n"), "used again")
    assert.deepStrictEqual((await probe.stop()).bad, [])
    const [newest, oldest] = await platform.api.deployments("quiet")
    assert.strictEqual(newest?.commit, oldest?.commit)
    assert.strictEqual(oldest?.status, "replaced")
  })

  it("a retry after a failure is a new try of the same commit", async () => {
    const service = await setUp("moody")
    // What a build leaves in the package cache is there for the next one: it fails once.
    const build = `const fs = require("node:fs")
const mark = process.env.npm_config_cache + "/tried-moody"
if (!fs.existsSync(mark)) {
  fs.writeFileSync(mark, "")
  process.exit(1)
}`
    const scripts = { start: "node server.js", build: "node build.js" }
    const source = nodeApp("moody")["server.js"] ?? ""
    const commit = await service.tree.commit({
      ...program(source, { scripts }),
      "build.js": build
    })
    const pushed = await service.tree.push(service.url)
    assert.match(pushed.output, /moody#1: failed in build: build_failed/u)
    await platform.api.redeploy("moody")
    const second = await platform.api.ended("moody", 2)
    assert.strictEqual(second.status, "live", JSON.stringify(second.failure))
    assert.strictEqual(second.commit, commit)
    assert.strictEqual((await platform.get("moody")).body, "moody ")
  })
})

describe("deleting", () => {
  it("takes the URL away at once and frees the name; the repository deploys again", async () => {
    const service = await setUp("mortal")
    await pushLive(service, nodeApp("first life"))
    assert.isTrue((await platform.api.remove("mortal")).removed)
    assert.strictEqual((await platform.get("mortal")).status, 404)
    assert.strictEqual(
      (await platform.api.refused("get_service", { name: "mortal" })).code,
      "not_found"
    )
    const made = await platform.api.createService({ repo: "mortal", name: "mortal" })
    assert.isTrue(made.created)
    assert.match(made.service.url ?? "", /^http:\/\/mortal\.localhost/u)
    assert.strictEqual((await platform.api.ended("mortal")).status, "live")
    assert.strictEqual((await platform.get("mortal")).body, "first life ")
  })

  it("in the middle of a deployment ends it", async () => {
    const service = await setUp("doomed")
    await service.tree.commit(nodeApp("never", { build: 1000 }))
    const building = Promise.withResolvers<void>()
    const pushing = service.tree.push(service.url, "HEAD:main", (line) => {
      if (line === "doomed#1: building") building.resolve()
    })
    await Promise.race([building.promise, pushing])
    await platform.api.remove("doomed")
    const pushed = await pushing
    assert.match(pushed.output, /doomed#1: cancelled/u)
    assert.strictEqual((await platform.get("doomed")).status, 404)
  })
})

describe("the end", () => {
  it("a stop leaves nothing", () => platform.stop())
})
