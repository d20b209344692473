/**
 * Who decides that nobody needs an artifact and removes it, and who claims one and looks whether it is
 * there, wait for each other: else what a new release was just found to have is taken from under it.
 */
import { Context, Effect, Layer, Semaphore } from "effect"

export class ArtifactTurn extends Context.Service<
  ArtifactTurn,
  {
    /** One at a time in this process. */
    readonly alone: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  }
>()("@deploy-mcp/runtime/ArtifactTurn") {
  static readonly layer = Layer.effect(
    ArtifactTurn,
    Effect.map(Semaphore.make(1), (turn) => ({ alone: turn.withPermit }))
  )
}
