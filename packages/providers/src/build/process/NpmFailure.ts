/** What npm's complaints mean for the person who pushed. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { rejected } from "./BuildFault.ts"
import type { BuildLog } from "./BuildLog.ts"

const outOfSync = /can only install packages when your package\.json and .+ are in sync/u
const noLockfile = /can only install with an existing package-lock\.json/u

/** npm's error code, and the sentence that says what it means. */
const causes: ReadonlyArray<readonly [code: RegExp, cause: string, next?: string]> = [
  [/^E404$/u, "A dependency does not exist in the registry."],
  [/^ETARGET$/u, "No published version of a dependency matches the one that is asked for."],
  [/^EINTEGRITY$/u, "A downloaded package does not match the checksum in the lockfile."],
  [/^ERESOLVE$/u, "The dependencies ask for versions that exclude each other."],
  [/^EBADENGINE$|^EBADPLATFORM$/u, "A dependency does not run on this Node.js or platform."],
  [/^E40[13]$/u, "The registry refused access to a package: its token is missing or wrong."],
  [
    /^(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|EIDLETIMEOUT)$/u,
    "The package registry could not be reached.",
    "Call redeploy_service to try again; if it stays, tell the operator that the registry is away."
  ]
]

export const installFailure = (line: string, ended: string, log: BuildLog): BuildError => {
  const output = log.recent()
  const evidence = log.evidence()
  if (outOfSync.test(output)) {
    const cause = "package-lock.json does not match package.json."
    const telling = log.evidence(/(?:Missing|Invalid):/u)
    return rejected("lockfile_outdated", cause, {
      evidence: telling.length > 0 ? telling : evidence
    })
  }
  if (noLockfile.test(output)) {
    return rejected("lockfile_missing", "npm found no package-lock.json.", { evidence })
  }
  const code = /^npm (?:error|ERR!) code (\S+)/mu.exec(output)?.[1] ?? ""
  for (const [pattern, cause, next] of causes) {
    if (!pattern.test(code)) continue
    return rejected("install_failed", cause, next === undefined ? { evidence } : { evidence, next })
  }
  return rejected("install_failed", `'${line}' ${ended}.`, { evidence })
}
