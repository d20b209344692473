/** Runs releases on this machine through its edge, over the edge's unix socket. */
import { Deploy, DeployError } from "@deploy-mcp/domain/Deploy"
import type { Unavailable } from "@deploy-mcp/domain/Fault"
import { make } from "@deploy-mcp/domain/Provider"
import { type Config, Effect, Layer, Stream } from "effect"
import * as EdgeClient from "../../edge/EdgeClient.ts"

const layer = (settings: Config.Success<typeof EdgeClient.config>) =>
  Layer.sync(Deploy, () => {
    const edge = EdgeClient.make("deploy", settings)
    return {
      routes: true,
      attach: edge.attach,
      snapshot: (stages) => Effect.mapError(edge.snapshot(stages), failed),
      ensure: (spec) => Effect.mapError(edge.ensure(spec), failed),
      remove: (stage, generation) => Effect.mapError(edge.remove(stage, generation), failed),
      measure: edge.measure,
      logs: (query) => Stream.mapError(edge.logs(query), failed)
    }
  })

const failed = (reason: Unavailable) => new DeployError({ reason })

export const DeployProcess = make({
  id: "process",
  service: Deploy,
  summary: "Runs releases on this machine, sandboxed, through its edge.",
  config: EdgeClient.config,
  make: layer
})
