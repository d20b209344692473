/** Stands before or after one step of a deployment and lets something happen there. */
import type { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import type { DeploymentFailed } from "@deploy-mcp/runtime/workflows/DeploymentFailed"
import type { DeploySteps } from "@deploy-mcp/runtime/workflows/DeploySteps"
import { Effect } from "effect"

/** The steps that a deployment which succeeds takes, in order. */
export const steps = [
  "planBuild",
  "buildArtifact",
  "recordRelease",
  "awaitHealthy",
  "moveRoute"
] as const
export type StepName = (typeof steps)[number]

/** `after`: its effect has happened and its result is not in the journal yet. */
export type When = "before" | "after"

export const around = (
  real: DeploySteps["Service"],
  name: StepName,
  when: When,
  event: (id: DeploymentId) => Effect.Effect<void, DeploymentFailed>
): DeploySteps["Service"] => {
  const wrap =
    <Args extends readonly [DeploymentId, ...ReadonlyArray<unknown>], A>(
      step: StepName,
      run: (...args: Args) => Effect.Effect<A, DeploymentFailed>
    ) =>
    (...args: Args): Effect.Effect<A, DeploymentFailed> => {
      if (step !== name) return run(...args)
      return when === "before"
        ? Effect.andThen(event(args[0]), run(...args))
        : Effect.tap(run(...args), () => event(args[0]))
    }
  return {
    ...real,
    planBuild: wrap("planBuild", real.planBuild),
    buildArtifact: wrap("buildArtifact", real.buildArtifact),
    recordRelease: wrap("recordRelease", real.recordRelease),
    awaitHealthy: wrap("awaitHealthy", real.awaitHealthy),
    moveRoute: wrap("moveRoute", real.moveRoute)
  }
}
