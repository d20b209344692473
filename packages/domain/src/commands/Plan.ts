/** Asking a write what it would change, without the change. */
import { Context, Effect } from "effect"
import { type CommandError, refuse } from "../Failure.ts"

/** Whether a command is to stop once it has decided. */
export const PlanOnly = Context.Reference<boolean>("@deploy-mcp/domain/PlanOnly", {
  defaultValue: () => false
})

/**
 * Stops a command that was asked for its plan only, with the changes as evidence. Inside a transaction it
 * takes back what was written so far, so a plan has passed every check of the real thing.
 */
export const planned = (...changes: ReadonlyArray<string>): Effect.Effect<void, CommandError> =>
  Effect.flatMap(PlanOnly, (only) =>
    only
      ? Effect.fail(refuse("planned", "Nothing was changed yet.", { evidence: changes }))
      : Effect.void
  )
