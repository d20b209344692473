/** Hostnames lead to a release, wherever it runs. */
import { Context, type Effect, Schema, type Stream } from "effect"
import { Fault } from "./Fault.ts"
import type { ReleaseId, StageId } from "./model/Ids.ts"
import type { EndpointWorkload, RouteObserved, StaticWorkload } from "./node/NodeProtocol.ts"

export class IngressError extends Schema.TaggedError<IngressError>()("IngressError", {
  reason: Fault
}) {
  get isRetryable() {
    return this.reason.isRetryable
  }
}

/** Where the hostnames of one stage should lead. */
export interface RouteSpec {
  readonly stage: StageId
  /** Rises with each change of the stage's rows: the fence. */
  readonly generation: number
  /** Service name, for pages and logs. */
  readonly name: string
  /** Labels; each is served as `<label>.<apps domain>`. */
  readonly hostnames: ReadonlyArray<string>
  /** Null: nothing is live, and visitors are told so. */
  readonly target: RouteTarget | null
}

export interface RouteTarget {
  readonly release: ReleaseId
  /** An address where it answers, or files to serve. The address may change in a later generation. */
  readonly to: EndpointWorkload | StaticWorkload
}

/** `hello` opens every connection and the whole current state follows; `away` ends it. */
export type IngressObservation = IngressHello | RouteObserved | { readonly type: "away" }

export interface IngressHello {
  readonly type: "hello"
  /** Why visitors do not reach it where they should, for people; null: they do. */
  readonly problem: string | null
}

export class Ingress extends Context.Service<
  Ingress,
  {
    /**
     * Speaks for control's `epoch` for as long as the stream runs, across reconnects. Each connection
     * begins with `hello`, which asks for a snapshot; then comes what is really routed, then each change.
     */
    readonly attach: (epoch: number) => Stream.Stream<IngressObservation>
    /** Makes the routes equal to `routes`; whatever is not listed is removed. */
    readonly snapshot: (routes: ReadonlyArray<RouteSpec>) => Effect.Effect<void, IngressError>
    /**
     * Moves hostnames to another target at once: requests under way end where they began, none fails.
     * An older generation changes nothing. Returns when it is accepted; the route is told when visitors
     * are led there. A target that does not answer is answered for, and is asked again by each visitor.
     */
    readonly ensure: (route: RouteSpec) => Effect.Effect<void, IngressError>
    /** Succeeds also when there is nothing to remove. */
    readonly remove: (stage: StageId, generation: number) => Effect.Effect<void, IngressError>
  }
>()("@deploy-mcp/domain/Ingress") {}
