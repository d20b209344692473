/** `plan: true` on a write: it answers with what it would change, and changes nothing. */
import { PlanOnly } from "@deploy-mcp/domain/commands/Plan"
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Effect } from "effect"
import type { JsonObject } from "./Fit.ts"
import type { ObjectSchema } from "./ToolSchema.ts"

type Perform<R> = (rawArguments: unknown) => Effect.Effect<JsonObject, CommandError, R>

export const planning =
  <R>(perform: Perform<R>): Perform<R> =>
  (rawArguments) => {
    if (!isRecord(rawArguments) || !("plan" in rawArguments)) return perform(rawArguments)
    const { plan, ...rest } = rawArguments
    if (plan === false || plan === null) return perform(rest)
    if (plan !== true) {
      return Effect.fail(refuse("invalid_argument", "'plan': expected true or false."))
    }
    return perform(rest).pipe(
      Effect.provideService(PlanOnly, true),
      Effect.catchTag("CommandError", (error) =>
        error.failure.code === "planned"
          ? Effect.succeed({ plan: error.failure.evidence, next: error.failure.next })
          : Effect.fail(error)
      )
    )
  }

export const withPlan = (input: ObjectSchema): ObjectSchema => ({
  ...input,
  properties: {
    ...input.properties,
    plan: { type: "boolean", description: "Only say what would change" }
  }
})

export const orPlan = (output: ObjectSchema): ObjectSchema => ({
  ...output,
  properties: { ...output.properties, plan: {} }
})

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
