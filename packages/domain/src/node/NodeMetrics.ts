/**
 * What a node has counted since its edge started. Counts only rise, so whoever asks twice knows what
 * happened in between; gauges say how it is now.
 */
import { Schema } from "effect"
import { StageId } from "../model/Ids.ts"

export const StageMetrics = Schema.Struct({
  stage: StageId,
  /** Answers by the first digit of their status; `0`: the visitor left before there was one. */
  answers: Schema.Record(Schema.String, Schema.Int),
  /** Answers that took up to each of the node's `bounds`; the last number counts the slower ones. */
  durations: Schema.Array(Schema.Int),
  /** Seconds that all answers took together. */
  durationSum: Schema.Finite,
  /** Requests that have no whole answer yet. */
  inFlight: Schema.Int,
  /** Upgraded connections that are open. */
  upgraded: Schema.Int,
  /** Times that a process was started, also again; workers are not counted. */
  starts: Schema.Int,
  /** Times that a process was started again after it had been healthy. */
  restarts: Schema.Int,
  /** Ended runs of a schedule by outcome. Absent: the node knows none. */
  runs: Schema.optionalKey(Schema.Record(Schema.String, Schema.Int)),
  /** Lines of its log that were not kept. */
  droppedLines: Schema.Int,
  /** Bytes of its processes; null: nothing runs, or nobody can tell. */
  memory: Schema.NullOr(Schema.Finite),
  /** Seconds of all cores together. */
  cpu: Schema.Finite
})
export type StageMetrics = typeof StageMetrics.Type

export const NodeMetrics = Schema.Struct({
  /** Upper ends of `durations`, in seconds. */
  bounds: Schema.Array(Schema.Finite),
  /** Open connections of visitors. */
  connections: Schema.Int,
  /** Starts that wait for their turn. */
  startQueue: Schema.Int,
  /** Requests that wait for a release that is starting or coming back. */
  held: Schema.Int,
  /** Requests that reached no service: their host is unknown, or they are malformed. */
  unmatched: Schema.Int,
  stages: Schema.Array(StageMetrics)
})
export type NodeMetrics = typeof NodeMetrics.Type
