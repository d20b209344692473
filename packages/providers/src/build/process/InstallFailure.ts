/** What package managers' complaints mean for the person who pushed. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { FailureCode } from "@deploy-mcp/domain/Failure"
import { rejected } from "./BuildFault.ts"
import type { BuildLog } from "./BuildLog.ts"

interface Complaint {
  /** Looked for in the last lines of the output. */
  readonly sign: RegExp
  readonly code: FailureCode
  readonly cause: string
  readonly next?: string
  /** Lines that tell more than the last ones do. */
  readonly telling?: RegExp
}

const outdated = (sign: RegExp, lockfile: string, by: string, telling = sign): Complaint => ({
  sign,
  code: "lockfile_outdated",
  cause: `${lockfile} does not match ${lockfile === "uv.lock" ? "pyproject.toml" : "package.json"}.`,
  next: `Run ${by}, commit ${lockfile} and push again.`,
  telling
})

const npmCode = (codes: string) => new RegExp(`^npm (?:error|ERR!) code (?:${codes})$`, "mu")
const failed = (sign: RegExp, cause: string, next?: string): Complaint => ({
  sign,
  code: "install_failed",
  cause,
  ...(next === undefined ? {} : { next })
})

/** The first whose sign is there explains the failure. */
const complaints: ReadonlyArray<Complaint> = [
  outdated(
    /can only install packages when your package\.json and .+ are in sync/u,
    "package-lock.json",
    "npm install",
    /(?:Missing|Invalid):/u
  ),
  {
    sign: /can only install with an existing package-lock\.json/u,
    code: "lockfile_missing",
    cause: "npm found no package-lock.json."
  },
  outdated(
    /ERR_PNPM_OUTDATED_LOCKFILE/u,
    "pnpm-lock.yaml",
    "pnpm install",
    /^\s*(?:\*|-) .*(?:lockfile|manifest|specifier|dependenc)/u
  ),
  outdated(/Your lockfile needs to be updated/u, "yarn.lock", "yarn install"),
  outdated(/YN0028/u, "yarn.lock", "yarn install"),
  outdated(/lockfile had changes, but lockfile is frozen/u, "bun.lock", "bun install", /note:/u),
  {
    sign: /ERR_PNPM_(?:LOCKFILE_BREAKING_CHANGE|NO_LOCKFILE)/u,
    code: "lockfile_outdated",
    cause: "pnpm-lock.yaml is not readable by the pnpm that is used.",
    next: "Put packageManager with your pnpm's version into package.json, or run pnpm install with a current pnpm, and push again."
  },
  failed(
    /^npm (?:error|ERR!) code E404$|ERR_PNPM_FETCH_404|Package not found|Request failed "404|^error: GET \S+ - 404/mu,
    "A dependency does not exist in the registry."
  ),
  failed(
    /^npm (?:error|ERR!) code ETARGET$|ERR_PNPM_NO_MATCHING_VERSION/mu,
    "No published version of a dependency matches the one that is asked for."
  ),
  failed(
    /^npm (?:error|ERR!) code EINTEGRITY$|ERR_PNPM_TARBALL_INTEGRITY|YN0018|Integrity check failed/mu,
    "A downloaded package does not match the checksum in the lockfile."
  ),
  failed(npmCode("ERESOLVE"), "The dependencies ask for versions that exclude each other."),
  failed(
    npmCode("EBADENGINE|EBADPLATFORM"),
    "A dependency does not run on this Node.js or platform."
  ),
  failed(
    /^npm (?:error|ERR!) code E40[13]$|ERR_PNPM_FETCH_40[13]/mu,
    "The registry refused access to a package: its token is missing or wrong."
  ),
  failed(
    /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|EIDLETIMEOUT)\b/u,
    "The package registry could not be reached.",
    "Call redeploy_service to try again; if it stays, tell the operator that the registry is away."
  )
]

export const installFailure = (line: string, ended: string, log: BuildLog): BuildError => {
  const output = log.recent()
  const found = complaints.find(({ sign }) => sign.test(output))
  if (found === undefined) {
    return rejected("install_failed", `'${line}' ${ended}.`, { evidence: log.evidence() })
  }
  const telling = found.telling === undefined ? [] : log.evidence(found.telling)
  return rejected(found.code, found.cause, {
    evidence: telling.length > 0 ? telling : log.evidence(),
    ...(found.next === undefined ? {} : { next: found.next })
  })
}
