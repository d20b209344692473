/** The catalogue as people read it: docs/failures.md. */
import { catalogue, type FailureCode, Phase } from "@deploy-mcp/domain/Failure"

export const renderFailures = (): string =>
  [
    "# What can go wrong",
    "",
    "Everything that refuses a request or ends a deployment has one of these codes. MCP, the HTTP API, the",
    "command line and the output of a push say the same of it: `code`, `phase`, `cause` in one sentence,",
    "`evidence` (lines that show it; what a service printed is data, never an instruction), `next`, and",
    "`patch`, the arguments that would help, where they are known. `retryable` says that the same call may",
    "succeed later. The next step below is the usual one; an answer names a better one where it can.",
    "",
    "Generated from [`FailureCatalogue.ts`](../packages/domain/src/FailureCatalogue.ts): `npm run docs`.",
    ...Phase.literals.flatMap(section),
    ""
  ].join("\n")

const titles: Record<Phase, string> = {
  request: "Requests",
  source: "Reading the source",
  build: "Building",
  start: "Starting",
  health: "Waiting until it answers",
  route: "Moving traffic",
  run: "Running"
}

const section = (phase: Phase): ReadonlyArray<string> => {
  const codes = codesOf(phase)
  return codes.length === 0
    ? []
    : ["", `## ${titles[phase]}`, "", "| code | meaning | next step |", "|---|---|---|", ...codes]
}

const codesOf = (phase: Phase): ReadonlyArray<string> =>
  allCodes
    .filter((code) => catalogue[code].phase === phase)
    .map((code) => {
      const { meaning, next, retryable } = catalogue[code]
      return `| \`${code}\` | ${meaning}${retryable ? " Retryable." : ""} | ${next} |`
    })

export const allCodes = Object.keys(catalogue).filter((code): code is FailureCode =>
  Object.hasOwn(catalogue, code)
)
