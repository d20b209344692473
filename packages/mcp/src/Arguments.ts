/**
 * Arguments as they arrived become typed input, or a failure that names the field, its rule and an
 * example. A value is never repeated in the answer: it may be a secret that was put in the wrong field.
 */
import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Effect, Schema, SchemaIssue } from "effect"
import { nearest } from "./Nearest.ts"
import { describe } from "./ToolSchema.ts"

export const decodeArguments = <
  const Fields extends Record<string, Schema.Codec<unknown, unknown>>
>(
  input: Schema.Struct<Fields>
): ((raw: unknown) => Effect.Effect<Schema.Struct<Fields>["Type"], CommandError>) => {
  const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(input), {
    errors: "all",
    onExcessProperty: "error"
  })
  const known = Object.keys(input.fields)
  return (raw) => {
    const given = raw ?? {}
    if (!isRecord(given)) {
      return Effect.fail(
        refuse("invalid_argument", "The arguments must be one JSON object.", {
          next: `Call again with an object, e.g. {${known[0] === undefined ? "" : `"${known[0]}": …`}}.`
        })
      )
    }
    const unknown = Object.keys(given).filter((name) => !known.includes(name))
    if (unknown.length > 0) return Effect.fail(unknownArgument(unknown, known))
    // Models send null for what they leave out.
    const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null))
    return decode(present).pipe(
      Effect.mapError((error) => invalidArgument(error.issue, input.fields))
    )
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const unknownArgument = (unknown: ReadonlyArray<string>, known: ReadonlyArray<string>) => {
  const names = unknown.slice(0, 5).map(shown)
  const hints = unknown
    .slice(0, 5)
    .flatMap((name) => nearest(name, known).map((near) => `'${near}' instead of '${shown(name)}'`))
  return refuse(
    "unknown_argument",
    `This tool has no ${names.length === 1 ? "argument" : "arguments"} ${names.map((name) => `'${name}'`).join(", ")}.`,
    {
      evidence: [
        known.length === 0 ? "it takes no arguments" : `known arguments: ${known.join(", ")}`
      ],
      next:
        hints.length > 0
          ? `Use ${hints.join(", ")}, and call again.`
          : `Remove ${names.map((name) => `'${name}'`).join(", ")} and call again.`
    }
  )
}

/** Names come from outside too: short, and without anything that could disturb a terminal. */
const shown = (name: string) => name.slice(0, 60).replace(/[^\x20-\x7e]/gu, "?")

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const invalidArgument = (
  issue: SchemaIssue.Issue,
  fields: Readonly<Record<string, Schema.Top>>
): CommandError => {
  const problems = format(issue).issues.map(({ message, path = [] }) => {
    const keys = path.map((key) => String(typeof key === "object" ? key.key : key))
    return { field: keys[0] ?? "", path: keys.map(shown).join("."), rule: ruleOf(message) }
  })
  const first = problems[0]
  const named = first && fields[first.field]
  const about = named && describe(named)
  return refuse(
    "invalid_argument",
    problems
      .slice(0, 5)
      .map(({ path, rule }) => `'${path}': ${rule}`)
      .join("; ")
      .concat("."),
    {
      evidence: about === undefined ? [] : [`${first?.field}: ${about}`],
      next: `Correct ${[...new Set(problems.map((problem) => `'${problem.field}'`))].join(", ")} and call again.`
    }
  )
}

const ruleOf = (message: string) => {
  if (message === "Missing key") return "is required"
  if (message === "Expected no excess property") return "is not a name that is allowed here"
  return message.replace(/^Expected/u, "expected").replace(/\.$/u, "")
}
