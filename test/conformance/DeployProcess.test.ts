/** The process provider is a Deploy: the kit, through a real edge and its sandbox. */
import { chmodSync } from "node:fs"
import { join } from "node:path"
import * as DeployConformance from "@deploy-mcp/domain/conformance/DeployConformance"
import { DeployProcess } from "@deploy-mcp/providers/deploy/process/DeployProcess"
import { Effect, Layer } from "effect"
import { EdgeNode, folder, noHost, site, visit } from "./EdgeNode.ts"

const provider = Layer.unwrap(
  EdgeNode.use(({ home, appsPort }) =>
    Effect.succeed(DeployProcess.make({ socket: join(home, "run/edge.sock"), appsPort }))
  )
).pipe(Layer.provide(noHost))

DeployConformance.suite("process", provider, {
  world: EdgeNode.layer(),
  get: ({ label }) => visit(label),
  site,
  doomed: Effect.map(folder, (directory) => {
    // The service's own user reads it.
    chmodSync(directory, 0o755)
    return {
      kind: "process" as const,
      directory,
      start: "echo this is the end; exit 7",
      path: [],
      variables: null,
      port: null,
      healthPath: null,
      memory: 64,
      cpu: 1,
      startTimeout: 10_000
    }
  })
})
