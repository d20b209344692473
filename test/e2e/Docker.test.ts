/**
 * One server with Docker, chosen by the settings file alone: the same pushes, built by BuildKit in a
 * real engine, run in its containers, and led to by the edge.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Bench from "@deploy-mcp/providers/build/docker/DockerBench"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp, sample, site } from "./Samples.ts"
import type { Files, WorkTree } from "./WorkTree.ts"

const onDocker = () => {
  const scope = Scope.makeUnsafe()
  let docker: Bench.DockerWorld["Service"]
  let platform: Platform
  let tree: WorkTree
  let folder: string

  beforeAll(async () => {
    const built = await Effect.runPromise(Layer.buildWithScope(Bench.world, scope))
    docker = Context.get(built, Bench.DockerWorld)
    folder = mkdtempSync(join(tmpdir(), "deploy-mcp-docker-"))
    // What the sample's Dockerfile is built on.
    const tag = docker.engine.call("POST", `/images/${docker.image}/tag?repo=node&tag=26-slim`)
    await Effect.runPromise(tag)
    const file = join(folder, "deploy-mcp.toml")
    writeFileSync(file, settings())
    platform = await startPlatform({ DEPLOY_MCP_SETTINGS: file })
    tree = await platform.workTree()
    await platform.api.repository("shop")
    await platform.api.createService({
      repo: "shop",
      name: "shop",
      env_vars: { GREETING: "from a container" }
    })
  }, 60_000)
  afterAll(async () => {
    await platform?.dispose()
    rmSync(folder, { recursive: true, force: true })
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }, 60_000)

  const settings = () => `
[default]
deploy = "docker"

[build.docker]
provider = "docker"
socket = "${docker.engine.socket}"
node_image = "${docker.image}"

[deploy.docker]
provider = "docker"
build = "docker"
socket = "${docker.engine.socket}"
address = "${docker.engine.address}"
drain = "500 millis"
restart_limit = 2
`
  const push = async (files: Files, name = "shop") => {
    await tree.commit(files)
    return tree.push(await platform.api.pushUrl(name))
  }
  const answers = (label: string, text: string) =>
    eventually(`${label} answers ${text}`, () =>
      platform.get(label).then(
        ({ status, body }) => status === 200 && body.includes(text),
        () => false
      )
    )
  /** Names of our containers that run now. */
  const running = async () => {
    const { text } = await Effect.runPromise(docker.engine.call("GET", "/containers/json"))
    return [...text.matchAll(/"Names":\["\/([^"]+)"/gu)].map(([, name]) => name)
  }

  describe("a push", () => {
    it("of a detected project becomes a container that answers, with its variables", async () => {
      const { output } = await push(nodeApp("v1"))
      assert.match(output, /shop#1: live/u)
      await answers("shop", "v1 from a container")
      assert.lengthOf(await running(), 1)
    })

    it("of a Dockerfile is built as it says", async () => {
      await platform.api.repository("own")
      await platform.api.createService({ repo: "own", name: "own" })
      assert.match((await push(sample("dockerfile"), "own")).output, /own#1: live/u)
      await answers("own", "Hello from a Dockerfile, version 1, built without a token")
      await platform.api.remove("own")
      await eventually("its container has ended", async () => (await running()).length === 1)
    })

    it("replaces what runs without a failed request, and stops it", async () => {
      const probe = platform.probe("shop")
      for (const version of ["v3", "v4", "v5"]) {
        assert.match((await push(nodeApp(version))).output, /: live/u)
      }
      const { bad, bodies } = await probe.stop()
      assert.deepStrictEqual(bad, [])
      assert.match(bodies.at(-1) ?? "", /^v5/u)
      await eventually("one container runs", async () => (await running()).length === 1)
    })

    it("that never answers is named with its reason, and the last one serves on", async () => {
      const { output } = await push({
        ...nodeApp("v6"),
        "server.js": 'console.log("no luck today"); process.exit(3)\n'
      })
      assert.match(output, /: failed in start: exited/u)
      assert.match(output, /no luck today/u)
      await answers("shop", "v5")
    })

    it("of a site is served from its files", async () => {
      await platform.api.repository("page")
      await platform.api.createService({ repo: "page", name: "page" })
      assert.match((await push(site("a page"), "page")).output, /page#1: live/u)
      await answers("page", "a page")
      assert.lengthOf(await running(), 1)
    })
  })

  it("shows what a container printed", async () => {
    assert.include(await platform.api.runtimeLog("shop"), "v5 listens")
  })

  it("goes back to an earlier release without a build", async () => {
    await platform.api.call("rollback_service", { name: "shop" })
    assert.strictEqual((await platform.api.ended("shop")).status, "live")
    await answers("shop", "v4")
  })

  it("outlives control and the edge", async () => {
    const probe = platform.probe("shop")
    await platform.kill9("control")
    await answers("shop", "v4")
    await platform.start()
    assert.deepStrictEqual((await probe.stop()).bad, [])
    await platform.kill9("edge")
    await answers("shop", "v4")
    await answers("page", "a page")
  })

  it("pauses what ends too often, and starts the next release", async () => {
    await platform.api.repository("mortal")
    await platform.api.createService({ repo: "mortal", name: "mortal" })
    const server = `require("node:http").createServer((request, response) => {
      if (request.url === "/end") process.exit(9)
      response.end("alive")
    }).listen(process.env.PORT)
`
    assert.match(
      (await push({ ...nodeApp("v1"), "server.js": server }, "mortal")).output,
      /: live/u
    )
    await eventually("it is paused", async () => {
      const { status } = await platform.api.service("mortal")
      if (status === "live") await platform.get("mortal", { path: "/end" }).catch(() => {})
      return status === "paused"
    })
    const { next } = await platform.api.service("mortal")
    assert.match(next, /^paused: The process ended 2 times within ten minutes.*redeploy_service/u)
    await eventually("its container has ended", async () => (await running()).length === 1)
    await platform.api.redeploy("mortal")
    assert.strictEqual((await platform.api.ended("mortal")).status, "live")
    await answers("mortal", "alive")
    await platform.api.remove("mortal")
  })

  it("leaves nothing of a service that is deleted", async () => {
    await platform.api.remove("shop")
    await eventually("no container runs", async () => (await running()).length === 0)
    assert.strictEqual((await platform.get("shop")).status, 404)
  })
}

describe("on Docker", () => {
  if (Bench.isInstalled) onDocker()
  else it.skip("is not installed here")
})
