/**
 * Deployments that fail on purpose. The release before keeps serving, all doors say the same code, and
 * a good push repairs it.
 */
import type { FailureCode } from "@deploy-mcp/domain/Failure"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Agent, agents, isRecord } from "./Agents.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp, program } from "./Samples.ts"
import type { Files, WorkTree } from "./WorkTree.ts"

let platform: Platform
let agent: Agent
beforeAll(async () => {
  platform = await startPlatform({ DEPLOY_MCP_START_TIMEOUT: "3" })
  const [, connect] = agents.find(([label]) => label === "client-2-auto") ?? []
  assert(connect !== undefined)
  agent = await connect(platform.url(), platform.key())
})
afterAll(async () => {
  await agent.close()
  await platform.dispose()
})

const setUp = async (name: string, settings: Readonly<Record<string, unknown>> = {}) => {
  const url = await platform.api.repository(name)
  await platform.api.createService({ repo: name, name, ...settings })
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

/** Pushes what must fail; every door says so alike, and `body` was answered all the time. */
const pushBroken = async (service: Pushable, files: Files, code: FailureCode, body: string) => {
  const { name, tree, url } = service
  const probe = platform.probe(name)
  const commit = await tree.commit(files)
  const pushed = await tree.push(url)
  const seen = await probe.stop()
  assert.match(pushed.output, new RegExp(`${name}#\\d+: failed in \\w+: ${code}\\b`))
  assert.include(pushed.output, "next: ")
  assert.deepStrictEqual(seen.bad, [])
  assert.deepStrictEqual(seen.bodies, [body])
  const detail = await platform.api.service(name)
  assert.strictEqual(detail.status, "live")
  assert.strictEqual(detail.latest_deployment?.status, "failed")
  assert.strictEqual(detail.latest_deployment?.commit, commit)
  assert.strictEqual(detail.latest_deployment?.failure?.code, code)
  assert.isNotEmpty(detail.latest_deployment?.failure?.next)
  const told = await agent.call("wait_for_deployment", { name })
  assert(isRecord(told.failure))
  assert.strictEqual(told.failure.code, code)
}

const listening = (where: string) =>
  program(`require("node:http").createServer((_, response) => response.end("v1"))
    .listen(${where}, () => console.log("listening"))`)

const withDependency = { dependencies: { "is-number": "7.0.0" } }

describe("a broken push", () => {
  const cases: ReadonlyArray<[what: string, files: Files, code: FailureCode]> = [
    ["no start command", { "package.json": `{"private":true}` }, "no_start_command"],
    ["nothing that can be deployed", { "README.md": "# hello\n" }, "unknown_kind"],
    ["a manifest that is no JSON", { "package.json": "{", "server.js": "" }, "manifest_invalid"],
    ["dependencies without a lockfile", program("1", withDependency), "lockfile_missing"],
    [
      "a build script that fails",
      program("1", { scripts: { start: "node server.js", build: "node -e 'process.exit(3)'" } }),
      "build_failed"
    ],
    ["an exit at once", program(`console.error("no database"); process.exit(1)`), "exited"],
    ["a missing module", program(`require("left-out")`), "missing_module"],
    [
      "a command that does not exist",
      program("1", { scripts: { start: "no-such-program" } }),
      "start_failed"
    ],
    ["no port at all", program(`setInterval(() => {}, 1000)`), "no_port"],
    [
      "a health check that fails",
      program(`require("node:http").createServer((_, response) => {
        response.statusCode = 500
        response.end("no")
      }).listen(process.env.PORT)`),
      "unhealthy"
    ]
  ]
  let brittle: Pushable
  beforeAll(async () => {
    brittle = await setUp("brittle")
    await pushLive(brittle, nodeApp("good"))
  })

  it.each(cases)("%s", (_, files, code) => pushBroken(brittle, files, code, "good "))

  it("is repaired by a good one", async () => {
    await pushLive(brittle, nodeApp("better"))
    assert.strictEqual((await platform.get("brittle")).body, "better ")
    const { status, latest_deployment } = await platform.api.service("brittle")
    assert.strictEqual(status, "live")
    assert.strictEqual(latest_deployment?.status, "live")
    assert.isNull(latest_deployment?.failure)
  })

  it("listens on the loopback address only", async () => {
    const service = await setUp("loopback")
    await pushLive(service, listening("process.env.PORT"))
    const files = listening(`process.env.PORT, "127.0.0.1"`)
    if (await platform.ownNetwork()) await pushBroken(service, files, "loopback_only", "v1")
    else await pushLive(service, files)
  })

  it("listens on another port than the service's", async () => {
    const service = await setUp("ported", { port: 4137 })
    await pushLive(service, listening("4137"))
    await pushBroken(service, listening("4138"), "wrong_port", "v1")
    const { latest_deployment } = await platform.api.service("ported")
    assert.deepStrictEqual(latest_deployment?.failure?.patch, { name: "ported", port: 4138 })
    if (await platform.ownNetwork()) await pushLive(service, listening("4137"))
  })

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
    assert.match(made.service.url, /^http:\/\/mortal\.localhost/u)
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
