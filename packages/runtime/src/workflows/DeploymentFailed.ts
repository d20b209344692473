/** How a step of a deployment fails: always with an entry of the catalogue, never with a cause. */
import { Failure } from "@deploy-mcp/domain/Failure"
import { type Fault, failureOf } from "@deploy-mcp/domain/Fault"
import { Context, Effect, Schema } from "effect"
import { retried } from "../Retried.ts"

export class DeploymentFailed extends Schema.TaggedError<DeploymentFailed>()("DeploymentFailed", {
  failure: Failure
}) {}

/** Is told why a provider is asked again, each time. */
export const Retries = Context.Reference<(failure: Failure) => Effect.Effect<void>>(
  "@deploy-mcp/runtime/Retries",
  { defaultValue: () => () => Effect.void }
)

/** With an entry of the catalogue, as `Failure.of` takes it. */
export const failed = (...args: Parameters<typeof Failure.of>) =>
  new DeploymentFailed({ failure: Failure.of(...args) })

/** Tries again while the provider says that it may help, then turns its fault into our failure. */
export const orFailed = <A, E extends { readonly reason: Fault; readonly isRetryable: boolean }, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, DeploymentFailed, R> =>
  Effect.flatMap(Retries, (told) =>
    Effect.mapError(
      retried(effect, (error) => told(failureOf(error.reason))),
      (error) => new DeploymentFailed({ failure: failureOf(error.reason) })
    )
  )

/** A bug must end the deployment, not leave it running for ever. The log keeps the cause. */
export const guarded = <A, R>(
  step: string,
  effect: Effect.Effect<A, DeploymentFailed, R>
): Effect.Effect<A, DeploymentFailed, R> =>
  effect.pipe(
    Effect.catchDefect((defect) =>
      Effect.logError(`step ${step} died`, defect).pipe(
        Effect.andThen(
          Effect.fail(
            new DeploymentFailed({
              failure: Failure.of("internal", `The platform failed in step ${step}.`)
            })
          )
        )
      )
    )
  )
