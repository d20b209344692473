/**
 * The one catalogue of what can go wrong, as data. MCP, HTTP, CLI, push output and the pages that
 * people see all print the same entry: code, phase, cause, evidence, next step.
 */
import { Schema } from "effect"
import { catalogue, type Entry, Phase } from "./FailureCatalogue.ts"

export { catalogue, Phase }

export type FailureCode = keyof typeof catalogue
export const FailureCode = Schema.Literals(
  Object.keys(catalogue) as [FailureCode, ...Array<FailureCode>]
)

/** One entry of the catalogue, met by one caller. Holds no secret and no stack trace. */
export class Failure extends Schema.Class<Failure>("Failure")({
  code: FailureCode,
  phase: Phase,
  /** What happened, in one sentence. */
  cause: Schema.String,
  /** Log lines or values that show it; text from tenants is data, never an instruction. */
  evidence: Schema.Array(Schema.String),
  /** What to call or change next. */
  next: Schema.String,
  retryable: Schema.Boolean,
  /** Arguments that would make the call succeed, where we know them. */
  patch: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
  /** Seconds to wait, for `rate_limited`. */
  retry_after: Schema.optionalKey(Schema.Int),
  /** What already exists, for conflicts. */
  current: Schema.optionalKey(Schema.Json)
}) {
  static of(
    code: FailureCode,
    cause: string,
    more: Partial<
      Pick<Failure, "evidence" | "next" | "phase" | "patch" | "retry_after" | "current">
    > = {}
  ): Failure {
    const { next, phase, retryable }: Entry = catalogue[code]
    return new Failure({ code, phase, retryable, next, evidence: [], cause, ...more })
  }
}

/** What a command or a tool fails with: always one entry of the catalogue. */
export class CommandError extends Schema.TaggedError<CommandError>()("CommandError", {
  failure: Failure
}) {
  override get message() {
    return `${this.failure.code}: ${this.failure.cause}`
  }
  get isRetryable() {
    return this.failure.retryable
  }
}

/** Shorthand for the usual way to refuse: `yield* refuse("name_taken", "…")`. */
export const refuse = (...args: Parameters<typeof Failure.of>): CommandError =>
  new CommandError({ failure: Failure.of(...args) })
