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
  /** That a registry did not answer as it should: it may be one that builds may not call. */
  readonly unreached?: true
}

const outdated = (sign: RegExp, lockfile: string, by: string, telling = sign): Complaint => ({
  sign,
  code: "lockfile_outdated",
  cause: `${lockfile} does not match ${lockfile === "uv.lock" ? "pyproject.toml" : "package.json"}.`,
  next: `Run ${by}, commit ${lockfile} and push again.`,
  telling
})

const npmCode = (codes: string) => new RegExp(`^npm (?:error|ERR!) code (?:${codes})$`, "mu")
const unreached = (sign: RegExp, cause: string, next?: string): Complaint => ({
  ...failed(sign, cause, next),
  unreached: true
})
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
  unreached(
    /^npm (?:error|ERR!) code E40[13]$|ERR_PNPM_FETCH_40[13]/mu,
    "The registry refused access to a package: its token is missing or wrong."
  ),
  unreached(
    /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|EIDLETIMEOUT)\b/u,
    "The package registry could not be reached.",
    "Call redeploy_service to try again; if it stays, tell the operator that the registry is away."
  )
]

/**
 * `kind`: what the step was for, which decides where no complaint is known. `refused`: what it may not
 * call and did, which may be why.
 */
export const stepFailure = (
  kind: "install" | "build",
  line: string,
  ended: string,
  log: BuildLog,
  refused: ReadonlyArray<string> = []
): BuildError => {
  const evidence = [...refused, ...log.evidence()]
  const output = log.recent()
  const known = kind === "install" ? [...complaints, ...languages] : languages
  const found = known.find(({ sign }) => sign.test(output))
  if (found === undefined) {
    const code = kind === "install" ? "install_failed" : "build_failed"
    return rejected(code, `'${line}' ${ended}.`, { evidence })
  }
  if (found.unreached && refused.length > 0) {
    const cause = "The project's package registry is one that builds may not call."
    const next =
      "Use a registry on the public internet, or ask the operator to put its host into allow_hosts of the build provider."
    return rejected(found.code, cause, { evidence, next })
  }
  const telling = found.telling === undefined ? [] : log.evidence(found.telling)
  return rejected(found.code, found.cause, {
    evidence: telling.length > 0 ? [...refused, ...telling] : evidence,
    ...(found.next === undefined ? {} : { next: found.next })
  })
}

const missing = (sign: RegExp, cause: string): Complaint => ({
  sign,
  code: "toolchain_missing",
  cause,
  telling: sign
})

/** Python's and Go's, which may also end a build. */
const languages: ReadonlyArray<Complaint> = [
  missing(
    /ensurepip is not available|No module named '?(?:venv|ensurepip)\b/u,
    "Python's venv module is not installed on this machine."
  ),
  missing(
    /requires go >= \S+ \(running go|go\.mod requires go/u,
    "go.mod asks for a newer Go than this machine has."
  ),
  missing(
    /No interpreter found|is incompatible with the project's Python requirement/u,
    "The project asks for another Python than this machine has."
  ),
  {
    sign: /missing go\.sum entry|updates to go\.(?:mod|sum) needed/u,
    code: "lockfile_outdated",
    cause: "go.sum does not match what the program imports.",
    next: "Run go mod tidy, commit go.mod and go.sum and push again.",
    telling: /go\.sum|updates to/u
  },
  {
    sign: /no required module provides package/u,
    code: "build_failed",
    cause: "The program imports a package that go.mod does not name.",
    next: "Run go mod tidy, commit go.mod and go.sum and push again.",
    telling: /no required module/u
  },
  outdated(/lockfile at `uv\.lock` needs to be updated/u, "uv.lock", "uv lock"),
  unreached(
    /NewConnectionError|ProxyError|ConnectTimeoutError|client error \(Connect\)|dns error|dial tcp/u,
    "The package registry could not be reached.",
    "Call redeploy_service to try again; if it stays, tell the operator that the registry is away."
  ),
  {
    ...failed(
      /No matching distribution found|was not found in the package registry|unknown revision|No solution found/u,
      "A dependency does not exist in the version that is asked for."
    ),
    telling: /No matching distribution|not found in|unknown revision|No solution|Because /u
  },
  failed(/ResolutionImpossible/u, "The dependencies ask for versions that exclude each other."),
  {
    ...failed(
      /command '\S*(?:gcc|cc|g\+\+|clang)' failed|Unable to find a compiler/u,
      "A dependency has to be compiled, and this machine has no compiler for it.",
      "Choose a version of it that is published for this platform, or ask the operator for a C compiler."
    ),
    telling: /error: |compiler/u
  }
]
