/** A platform whose services are images: built by BuildKit and run by the same Docker Engine. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import {
  DockerWorld,
  isInstalled,
  world
} from "../../packages/providers/src/build/docker/DockerBench.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { nodeApp, sample } from "./Samples.ts"

const settings = (socket: string, address: string, image: string) => `
[build.docker]
provider = "docker"
socket = "${socket}"
node_image = "${image}"

[deploy.docker]
provider = "docker"
socket = "${socket}"
address = "${address}"
build = "docker"

[default]
build = "docker"
deploy = "docker"
`

/** A platform on the engine, gone with the scope. */
const onDocker = Effect.gen(function* () {
  const { engine, image } = yield* DockerWorld
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-mcp-e2e-docker-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const file = join(folder, "deploy-mcp.toml")
  writeFileSync(file, settings(engine.socket, engine.address, image))
  yield* engine.call("POST", `/images/${image}/tag?repo=node&tag=26-slim`)
  return yield* Effect.acquireRelease(
    Effect.promise(() => startPlatform({ DEPLOY_MCP_SETTINGS: file })),
    (platform) => Effect.promise(() => platform.dispose())
  )
})

const deployed = async (
  platform: Platform,
  name: string,
  files: Readonly<Record<string, string>>
) => {
  await platform.api.call("deploy_files", { name, files })
  const { status, failure } = await platform.api.ended(name)
  assert.strictEqual(status, "live", JSON.stringify(failure))
  return (await platform.get(name)).body
}

if (isInstalled) {
  layer(world, { excludeTestServices: true })("services in containers", (it) => {
    it.effect(
      "are built from a Dockerfile or for their language, and answer; sites are files",
      () =>
        Effect.gen(function* () {
          const platform = yield* onDocker
          yield* Effect.promise(async () => {
            const own = await deployed(platform, "own", sample("dockerfile"))
            assert.strictEqual(own, "Hello from a Dockerfile, version 1, built without a token\n")
            const changed = await deployed(platform, "own", sample("dockerfile", "2"))
            assert.include(changed, "version 2")
            assert.strictEqual(await deployed(platform, "found", nodeApp("v1")), "v1 ")
            assert.strictEqual(await deployed(platform, "site", { "index.html": "hello" }), "hello")
          })
        })
    )
  })
} else {
  it.skip("services in containers", () => {})
}
