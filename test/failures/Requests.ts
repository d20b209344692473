/** Requests that are refused before there is a deployment, in the order in which they are made. */
import type { FailureCode } from "@deploy-mcp/domain/Failure"

export interface RefusedRequest {
  readonly what: string
  readonly code: FailureCode
  readonly cause: string | RegExp
  /** What the next step says. */
  readonly next: RegExp
  readonly evidence?: RegExp
  /** A tool with its arguments, asked as API and as MCP; or arguments of the command line. */
  readonly ask:
    | { readonly tool: string; readonly args: Readonly<Record<string, unknown>> }
    | { readonly command: ReadonlyArray<string>; readonly env?: Readonly<Record<string, string>> }
}

/** What is there: `taken` follows `main` of the pushed repository `taken`; the rest follow nothing. */
export const services = [
  { name: "taken", repo: "taken" },
  { name: "unborn", repo: "unborn" },
  { name: "branchless", repo: "taken", branch: "next" }
]

export const requests: ReadonlyArray<RefusedRequest> = [
  {
    what: "a repository that is not there",
    ask: { tool: "redeploy_service", args: { name: "unborn" } },
    code: "repository_missing",
    cause: /^There is no repository 'internal\/[a-z-]+\/unborn'\.$/u,
    next: /create_repo/u
  },
  {
    what: "a branch that is not there",
    ask: { tool: "redeploy_service", args: { name: "branchless" } },
    code: "branch_missing",
    cause: /^The repository 'internal\/[a-z-]+\/taken' has no branch 'next'\.$/u,
    evidence: /^branches: main$/u,
    next: /^Push that branch/u
  },
  {
    what: "a name that another service has",
    ask: { tool: "create_service", args: { name: "taken", repo: "other" } },
    code: "name_taken",
    cause: "There is a service 'taken' in project 'default' with other settings.",
    next: /choose another name/u
  },
  {
    what: "a deployment of a service that has none",
    ask: { tool: "wait_for_deployment", args: { name: "branchless", timeout_seconds: 1 } },
    code: "nothing_to_deploy",
    cause: "branchless has no deployment yet.",
    next: /^Push a commit/u
  },
  {
    what: "a push over commits that are missing here",
    ask: { command: ["deploy", "--name", "taken"] },
    code: "push_refused",
    cause: "The platform did not accept the push.",
    evidence: /rejected/u,
    next: /Pull them, or deploy with --force/u
  },
  {
    what: "a platform that does not run",
    ask: { command: ["services"], env: { DEPLOY_MCP_PORT: "1" } },
    code: "unavailable",
    cause: "No platform answers on http://127.0.0.1:1.",
    next: /deploy-mcp up/u
  }
]
