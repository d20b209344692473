/** What happens to deployments, told in process to whoever waits; rows stay the truth. */
import type { DeploymentId, StageId } from "@deploy-mcp/domain/model/Ids"
import type { LogLine } from "@deploy-mcp/domain/model/LogLine"
import { Context, Effect, Layer, PubSub, type Scope } from "effect"

export type DeploymentEvent =
  /** There is something to decide for a stage: a deployment was queued or has ended. */
  | { readonly kind: "queued" | "ended"; readonly stage: StageId }
  /** A deployment's status or phase is another one now. */
  | { readonly kind: "changed"; readonly deployment: DeploymentId }
  | { readonly kind: "log"; readonly deployment: DeploymentId; readonly line: LogLine }

export class DeploymentEvents extends Context.Service<
  DeploymentEvents,
  {
    readonly publish: (event: DeploymentEvent) => Effect.Effect<void>
    /** Everything published from now on. */
    readonly subscribe: Effect.Effect<Effect.Effect<DeploymentEvent>, never, Scope.Scope>
  }
>()("@deploy-mcp/runtime/DeploymentEvents") {
  static readonly layer = Layer.effect(
    DeploymentEvents,
    Effect.map(PubSub.unbounded<DeploymentEvent>(), (bus) => ({
      publish: (event) => Effect.asVoid(PubSub.publish(bus, event)),
      subscribe: Effect.map(PubSub.subscribe(bus), PubSub.take)
    }))
  )
}
