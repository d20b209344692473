/**
 * A tool is a plain value: words for the model, schemas, one command. Nothing here knows a protocol;
 * every door calls `callTool` with the arguments as they arrived and gets JSON or a catalogue entry.
 */
import type { Accounts } from "@deploy-mcp/domain/commands/Accounts"
import type { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import type { Repositories } from "@deploy-mcp/domain/commands/Repositories"
import type { Services } from "@deploy-mcp/domain/commands/Services"
import { DiskFull } from "@deploy-mcp/domain/DiskFull"
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Principal, requireScope, type Scope } from "@deploy-mcp/domain/model/Principal"
import { steadyMillis } from "@deploy-mcp/domain/SteadyMillis"
import { Cause, Clock, Effect, Exit, Metric, Random, Result, Schema } from "effect"
import { decodeArguments } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { type Cut, fit, type JsonObject } from "./Fit.ts"
import { orPlan, planning, withPlan } from "./Planning.ts"
import type { Progress } from "./Progress.ts"
import { advertiseInput, advertiseOutput, type ObjectSchema } from "./ToolSchema.ts"

export type { JsonObject }

/** What every tool may ask of the platform. */
export type Commands = Accounts | Deployments | Repositories | Services

/** `deploy` is what agents see; `keys` is for people, and for agents whose address asks for it. */
export type Toolset = "deploy" | "keys"

/** Hints for clients, never enforcement. All four, because an unannotated tool counts as dangerous. */
export interface Hints {
  readonly readOnly: boolean
  readonly destructive: boolean
  readonly idempotent: boolean
  readonly openWorld: boolean
}

interface Words {
  /** `verb_noun` in `[a-z0-9_]`, at most 40 characters. */
  readonly name: string
  readonly title: string
  readonly toolset: Toolset
  /** A prompt: what, when, when not, side effects, how long, what to call next. */
  readonly description: string
  readonly hints: Hints
  /** What the key must allow; null: any valid key. */
  readonly scope: Scope | null
}

export interface Tool extends Words {
  readonly inputSchema: ObjectSchema
  readonly outputSchema: ObjectSchema
  /** Decodes, runs, encodes. `callTool` is the safe way in. */
  readonly invoke: (
    rawArguments: unknown
  ) => Effect.Effect<JsonObject, CommandError, Commands | Principal | Progress>
}

/** A tool whose `run` can be called with typed input. */
export interface TypedTool<Input, Output> extends Tool {
  readonly run: Run<Input, Output>
}

type Run<Input, Output> = (
  input: Input
) => Effect.Effect<Output, CommandError, Commands | Principal | Progress>

export const make = <
  const Fields extends Record<string, Schema.Codec<unknown, unknown>>,
  Output,
  Encoded
>(
  spec: Words & {
    readonly input: Schema.Struct<Fields>
    readonly output: Schema.Codec<Output, Encoded>
    /** Which lists may be shortened when the answer is too long, and how to ask for less. */
    readonly cut?: Cut
    /** It takes `plan: true`; its command then stops where it says what it would change. */
    readonly plans?: true
    readonly run: Run<Schema.Struct<Fields>["Type"], Output>
  }
): TypedTool<Schema.Struct<Fields>["Type"], Output> => {
  const { input, output, cut, plans = false, ...words } = spec
  const decode = decodeArguments(input)
  const encode = Schema.encodeUnknownEffect(Schema.toCodecJson(output))
  const perform = (rawArguments: unknown) =>
    decode(rawArguments).pipe(
      Effect.flatMap(spec.run),
      Effect.flatMap((value) => Effect.orDie(encode(value))),
      Effect.map((json) => fit(json, cut))
    )
  let inputSchema: ObjectSchema | undefined
  let outputSchema: ObjectSchema | undefined
  return {
    ...words,
    // Made when a list is first asked for: those of all tools would be a tenth of the platform's start.
    get inputSchema() {
      inputSchema ??= plans ? withPlan(advertiseInput(input)) : advertiseInput(input)
      return inputSchema
    },
    get outputSchema() {
      outputSchema ??= plans ? orPlan(advertiseOutput(output)) : advertiseOutput(output)
      return outputSchema
    },
    invoke: plans ? planning(perform) : perform
  }
}

/** An argument with the words that a model reads: what it is, when to set it, an example. */
export const field = <S extends Schema.Top>(schema: S, description: string) =>
  schema.annotate({ description })

/** Runs a tool for the principal. Bugs come out as `internal` with a reference into our own log. */
export const callTool = (
  tool: Tool,
  rawArguments: unknown
): Effect.Effect<JsonObject, CommandError, Commands | Principal | Progress> =>
  Effect.flatMap(steadyMillis, (startedAt) =>
    (tool.scope === null ? Effect.void : requireScope(tool.scope)).pipe(
      Effect.andThen(tool.invoke(rawArguments)),
      Effect.catchCause((cause) => {
        const failure = Cause.findError(cause)
        if (Result.isSuccess(failure)) return Effect.fail(failure.success)
        if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(failure.failure)
        return maskDefect(tool.name, cause)
      }),
      Effect.onExit((exit) => record(tool.name, startedAt, exit))
    )
  )

const calls = Metric.counter("deploy_mcp_tool_calls_total", {
  description: "Tool calls by tool and outcome",
  incremental: true
})

const record = (tool: string, startedAt: number, exit: Exit.Exit<unknown, CommandError>) =>
  Effect.gen(function* () {
    const outcome = outcomeOf(exit)
    const { ownerName, key } = yield* Principal
    yield* Metric.update(Metric.withAttributes(calls, { tool, outcome }), 1)
    const { record } = yield* Audit
    const at = yield* Clock.currentTimeMillis
    const millis = Math.round((yield* steadyMillis) - startedAt)
    yield* record({ at, tool, outcome, millis, owner: ownerName, key })
  })

const outcomeOf = (exit: Exit.Exit<unknown, CommandError>): string => {
  if (Exit.isSuccess(exit)) return "ok"
  const error = Cause.findError(exit.cause)
  return Result.isSuccess(error) ? error.success.failure.code : "interrupted"
}

/** The caller gets a reference; the cause stays with us. A full disk is no bug, and said. */
export const maskDefect = (where: string, cause: Cause.Cause<unknown>) =>
  Effect.gen(function* () {
    if (DiskFull.isBehind(Cause.squash(cause))) {
      yield* Effect.logWarning("the disk is full", { where })
      return yield* refuse("disk_full", "The disk is full, so nothing can be written down.", {
        phase: "request",
        next: "Ask whoever runs the platform to free some of its disk, then try again."
      })
    }
    const reference = `ref_${(yield* Random.nextIntBetween(0, 36 ** 8)).toString(36).padStart(8, "0")}`
    yield* Effect.logError("A call failed for an unexpected reason.", cause).pipe(
      Effect.annotateLogs({ where, reference })
    )
    return yield* refuse("internal", `Something went wrong on our side (reference ${reference}).`, {
      evidence: [reference]
    })
  })
