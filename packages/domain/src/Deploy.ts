/** Artifact becomes running release, and hostnames lead to it, here or by an ingress. */
import { Context, type Effect, Schema, type Stream } from "effect"
import { Fault } from "./Fault.ts"
import type { StageId } from "./model/Ids.ts"
import type { LogLine, LogSearch } from "./model/LogLine.ts"
import type { NodeMetrics } from "./node/NodeMetrics.ts"
import type { EdgeHello, ReleaseObserved, RouteObserved, StageSpec } from "./node/NodeProtocol.ts"

export class DeployError extends Schema.TaggedError<DeployError>()("DeployError", {
  reason: Fault
}) {
  get isRetryable() {
    return this.reason.isRetryable
  }
}

/** `hello` opens every connection to the node and the whole current state follows; `away` ends it. */
export type Observation = EdgeHello | ReleaseObserved | RouteObserved | { readonly type: "away" }

/** Of a stage's lines those that are looked for: `tail` counts these. */
export interface RuntimeLogQuery extends LogSearch {
  readonly stage: StageId
  /** Only lines after this position; null: the last `tail` ones. */
  readonly after: number | null
  readonly tail: number
  /** Goes on with each new line. */
  readonly follow: boolean
}

export class Deploy extends Context.Service<
  Deploy,
  {
    /**
     * True: a spec's `route` and `hostnames` lead visitors to the release. False: an ingress must, each
     * healthy release is told with its `endpoint`, no `route` is told, and static releases are not its
     * business. A release that is not listed any more then answers for some time yet.
     */
    readonly routes: boolean
    /**
     * Speaks for control's `epoch` for as long as the stream runs, across reconnects. Each connection
     * begins with `hello`, which asks for a snapshot; then comes what is really there, then each change.
     */
    readonly attach: (epoch: number) => Stream.Stream<Observation>
    /** Makes the node's world equal to `stages`; whatever is not listed is removed. */
    readonly snapshot: (stages: ReadonlyArray<StageSpec>) => Effect.Effect<void, DeployError>
    /** Makes one stage's world equal to `spec`; an older generation changes nothing. Returns when it is accepted. */
    readonly ensure: (spec: StageSpec) => Effect.Effect<void, DeployError>
    /** Succeeds also when there is nothing to remove. */
    readonly remove: (stage: StageId, generation: number) => Effect.Effect<void, DeployError>
    /** What its node has counted; null while it can't say. Absent: the provider never can. */
    readonly measure?: Effect.Effect<NodeMetrics | null>
    /** What a stage's processes printed, oldest first. */
    readonly logs: (
      query: RuntimeLogQuery
    ) => Stream.Stream<LogLine & { readonly release: string }, DeployError>
  }
>()("@deploy-mcp/domain/Deploy") {}
