/** What a key's owner is told of how busy services are, over the HTTP API only. */
import { Schema } from "effect"
import { ServiceName } from "../model/Names.ts"
import { NodeMetrics, StageMetrics } from "../node/NodeMetrics.ts"

const { stage: _, ...counted } = StageMetrics.fields

export const ServiceMeasured = Schema.Struct({
  name: ServiceName,
  project: Schema.String,
  ...counted
})
export type ServiceMeasured = typeof ServiceMeasured.Type

/** Counts rise from the start of the edge on: two answers say what happened in between. */
export const Measurements = Schema.Struct({
  /** Milliseconds since 1970. */
  at: Schema.Int,
  bounds: NodeMetrics.fields.bounds,
  services: Schema.Array(ServiceMeasured)
})
export type Measurements = typeof Measurements.Type
