import * as DeployConformance from "@deploy-mcp/domain/conformance/DeployConformance"
import { it } from "@effect/vitest"
import { Layer } from "effect"
import * as Engine from "../../testing/DockerEngine.ts"
import { command, DockerNode, page, provider, visit } from "./DockerNode.ts"

const world = Layer.merge(DockerNode.layer, Engine.layer)

if (Engine.isInstalled) {
  DeployConformance.suite("docker", provider, {
    world,
    get: ({ endpoint }) => visit(endpoint),
    site: (text) => page(text),
    doomed: command("echo this is the end; exit 7"),
    working: (text) =>
      page(text, {
        workers: {
          clock: `trap "echo ${text} has ended; exit" TERM; echo ${text} works; while true; do sleep 1; done`
        }
      })
  })
} else {
  it.skip("docker is a Deploy", () => {})
}
