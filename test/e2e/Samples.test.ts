/** The sample applications, pushed and changed, and the ways in which repositories meet services. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Platform, startPlatform } from "./Platform.ts"
import { below, nodeApp, sample } from "./Samples.ts"
import type { Pushed, WorkTree } from "./WorkTree.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

/** A push that must end with a live service for each of `names`. */
const pushLive = async (
  tree: WorkTree,
  url: string,
  names: ReadonlyArray<string>,
  refspec?: string
): Promise<Pushed> => {
  const pushed = await tree.push(url, refspec)
  assert.strictEqual(pushed.code, 0, pushed.output)
  for (const name of names) {
    const mine = pushed.lines.filter((line) => line.startsWith(`${name}#`))
    assert.match(mine.at(-1) ?? "", /: live \(/u, pushed.output)
  }
  return pushed
}

/** A repository and a service of the same name, and a checkout to push from. */
const setUp = async (name: string, settings: Readonly<Record<string, unknown>> = {}) => {
  const url = await platform.api.repository(name)
  await platform.api.createService({ repo: name, name, ...settings })
  return { url, tree: await platform.workTree() }
}

describe("samples", () => {
  it("a static site has validators, ranges and media types, and changes with a push", async () => {
    const { tree, url } = await setUp("site")
    await tree.commit(sample("static"))
    await pushLive(tree, url, ["site"])
    const first = await platform.get("site")
    assert.strictEqual(first.status, 200)
    assert.match(first.headers["content-type"] ?? "", /^text\/html/u)
    assert.include(first.body, '<span id="version">1<')
    const etag = first.headers.etag ?? ""
    assert.isNotEmpty(etag)
    const same = await platform.get("site", { headers: { "if-none-match": etag } })
    assert.strictEqual(same.status, 304)
    assert.strictEqual(same.body, "")
    const part = await platform.get("site", { headers: { range: "bytes=0-14" } })
    assert.strictEqual(part.status, 206)
    assert.strictEqual(part.body, "<!doctype html>")
    const size = Buffer.byteLength(first.body)
    assert.strictEqual(part.headers["content-range"], `bytes 0-14/${size}`)
    const style = await platform.get("site", { path: "/style.css" })
    assert.match(style.headers["content-type"] ?? "", /^text\/css/u)
    assert.strictEqual((await platform.get("site", { path: "/nowhere" })).status, 404)
    assert.strictEqual((await platform.api.service("site")).type, "webapp_static")

    const probe = platform.probe("site")
    await tree.commit(sample("static", "2"))
    await pushLive(tree, url, ["site"])
    const { bad } = await probe.stop()
    assert.deepStrictEqual(bad, [])
    const changed = await platform.get("site", { headers: { "if-none-match": etag } })
    assert.strictEqual(changed.status, 200)
    assert.include(changed.body, '<span id="version">2<')
  })

  it("a Node server gets its variables, and is replaced without a failed request", async () => {
    const { tree, url } = await setUp("node", { env_vars: { GREETING: "salut" } })
    await tree.commit(sample("node"))
    await pushLive(tree, url, ["node"])
    assert.match((await platform.get("node")).body, /version 1\n$/u)
    assert.include((await platform.get("node", { path: "/env" })).body, '"GREETING":"salut"')
    const probe = platform.probe("node")
    await tree.commit(sample("node", "2"))
    await pushLive(tree, url, ["node"])
    const { bad, count } = await probe.stop()
    assert.deepStrictEqual(bad, [])
    assert.isAbove(count, 0)
    assert.match((await platform.get("node")).body, /version 2\n$/u)
  })

  it("an Express server installs with npm, and a change uses what is installed", async () => {
    const { tree, url } = await setUp("express")
    await tree.commit(sample("express"))
    const first = await pushLive(tree, url, ["express"])
    assert.match((await platform.get("express")).body, /^Hello from Express, version 1\n$/u)
    assert.match(first.output, /\$ npm ci --omit=dev/u)
    await tree.commit(sample("express", "2"))
    const second = await pushLive(tree, url, ["express"])
    assert.notMatch(second.output, /\$ npm ci/u)
    assert.match(second.output, /Dependencies are unchanged/u)
    assert.match((await platform.get("express")).body, /version 2\n$/u)
  })
})

describe("repositories and services", () => {
  it("a push before the service is kept, and the service deploys it when it is made", async () => {
    const url = await platform.api.repository("early")
    const tree = await platform.workTree()
    const commit = await tree.commit(nodeApp("v1"))
    const pushed = await tree.push(url)
    assert.strictEqual(pushed.code, 0, pushed.output)
    assert.match(pushed.lines.join("\n"), /create_service/u)
    const { service } = await platform.api.createService({ repo: "early", name: "early" })
    assert.strictEqual(service.status, "deploying")
    const ended = await platform.api.ended("early")
    assert.strictEqual(ended.status, "live")
    assert.strictEqual(ended.cause, "create")
    assert.strictEqual(ended.commit, commit)
    assert.strictEqual((await platform.get("early")).body, "v1 ")
  })

  it("a service may be made before its repository", async () => {
    const made = await platform.api.createService({ repo: "later", name: "later" })
    assert.strictEqual(made.service.status, "awaiting_push")
    const waiting = await platform.get("later")
    assert.isAtLeast(waiting.status, 404)
    const url = await platform.api.repository("later")
    const tree = await platform.workTree()
    await tree.commit(nodeApp("v1"))
    await pushLive(tree, url, ["later"])
    assert.strictEqual((await platform.get("later")).body, "v1 ")
  })

  it("two services follow one branch, each with its own variables", async () => {
    const url = await platform.api.repository("both")
    for (const name of ["both-a", "both-b"]) {
      await platform.api.createService({ repo: "both", name, env_vars: { GREETING: name } })
    }
    const tree = await platform.workTree()
    for (const version of ["v1", "v2"]) {
      await tree.commit(nodeApp(version))
      await pushLive(tree, url, ["both-a", "both-b"])
      for (const name of ["both-a", "both-b"]) {
        assert.strictEqual((await platform.get(name)).body, `${version} ${name}`)
      }
    }
  })

  it("only pushes to its branch deploy a service", async () => {
    const { tree, url } = await setUp("release", { branch: "release/2" })
    await tree.commit(nodeApp("main"))
    const other = await tree.push(url, "HEAD:main")
    assert.strictEqual(other.code, 0, other.output)
    assert.deepStrictEqual(await platform.api.deployments("release"), [])
    await tree.commit(nodeApp("branch"))
    await pushLive(tree, url, ["release"], "HEAD:release/2")
    assert.strictEqual((await platform.get("release")).body, "branch ")
    assert.lengthOf(await platform.api.deployments("release"), 1)
  })

  it("a service is built from its root_directory", async () => {
    const { tree, url } = await setUp("nested", { root_directory: "apps/web" })
    await tree.commit({ ...below("apps/web", nodeApp("web")), ...nodeApp("top") })
    await pushLive(tree, url, ["nested"])
    assert.strictEqual((await platform.get("nested")).body, "web ")
    await tree.commit(nodeApp("top"))
    const pushed = await tree.push(url)
    assert.include(pushed.output, "root_directory_missing")
    assert.strictEqual((await platform.get("nested")).body, "web ")
  })
})

describe("the end", () => {
  it("a stop leaves nothing", () => platform.stop())
})
