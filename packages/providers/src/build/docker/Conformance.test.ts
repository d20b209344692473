/** The docker provider is a Build: the kit, with the real BuildKit of a real Docker Engine. */
import * as BuildConformance from "@deploy-mcp/domain/conformance/BuildConformance"
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { pkg } from "../detection/DetectionBench.ts"
import { filesOf, isInstalled, leftovers, provider, source, world } from "./DockerBench.ts"

const script = (build: string) => ({
  "package.json": pkg({ scripts: { build, start: "node server.js" } }),
  "server.js": ""
})

if (isInstalled) {
  BuildConformance.suite("docker", provider(), {
    world,
    source,
    beside: { "package.json": pkg({ scripts: { start: "node server.js" } }), "server.js": "" },
    read: ({ runtime }) => (runtime.kind === "image" ? filesOf(runtime.image) : Effect.succeed({})),
    leftovers,
    failing: script("echo the token is $TOKEN; exit 3"),
    endless: script("echo endless; sleep 1000")
  })
} else {
  it.skip("docker is a Build", () => {})
}
