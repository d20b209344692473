/** Leads hostnames to where releases answer, through this machine's edge. */
import type { Unavailable } from "@deploy-mcp/domain/Fault"
import {
  Ingress,
  IngressError,
  type IngressObservation,
  type RouteSpec
} from "@deploy-mcp/domain/Ingress"
import type { StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { make } from "@deploy-mcp/domain/Provider"
import { type Config, Effect, Layer, Result, Stream } from "effect"
import * as EdgeClient from "../../edge/EdgeClient.ts"

const layer = (settings: Config.Success<typeof EdgeClient.config>) =>
  Layer.sync(Ingress, () => {
    const edge = EdgeClient.make("ingress", settings)
    return {
      attach: (epoch) => edge.attach(epoch).pipe(Stream.tap(warn), Stream.filterMap(observed)),
      snapshot: (routes) => Effect.mapError(edge.snapshot(routes.map(stageOf)), failed),
      ensure: (route) => Effect.mapError(edge.ensure(stageOf(route)), failed),
      remove: (stage, generation) => Effect.mapError(edge.remove(stage, generation), failed)
    }
  })

/** To the edge, a route is a stage whose one release is somebody else's. */
const stageOf = ({ generation, hostnames, name, stage, target }: RouteSpec): StageSpec => ({
  stage,
  generation,
  name,
  tenant: noTenant,
  hostnames,
  route: target?.release ?? null,
  releases: target === null ? [] : [{ release: target.release, workload: target.to }]
})

/** The user that processes run as; an ingress runs none. */
const noTenant = 0

/** A route leads to it all the same as soon as it can be served, so nobody else hears of this. */
const warn = (observation: EdgeClient.EdgeObservation) =>
  observation.type === "release" && observation.state === "failed"
    ? Effect.logWarning(`${observation.release} cannot be served: ${observation.failure?.cause}`)
    : Effect.void

const observed = (
  observation: EdgeClient.EdgeObservation
): Result.Result<IngressObservation, "not of a route"> => {
  switch (observation.type) {
    case "hello":
      return Result.succeed({ type: "hello", problem: observation.problem })
    case "release":
      return Result.fail("not of a route")
    case "route":
    case "away":
      return Result.succeed(observation)
  }
}

const failed = (reason: Unavailable) => new IngressError({ reason })

export const IngressEmbedded = make({
  id: "embedded",
  service: Ingress,
  summary: "Leads hostnames to where releases answer, through this machine's edge.",
  config: EdgeClient.config,
  make: layer
})
