/** What of a package.json shapes an install, and whether the project's own files do. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { isFile } from "./SourceTree.ts"

/** Bytes. */
export const maxManifest = 1024 * 1024
export const maxLockfile = 64 * 1024 * 1024

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

type Manifest = Readonly<Record<string, unknown>>

/** A package.json with nothing else. */
export const dependenciesOf = (manifest: Manifest): string =>
  JSON.stringify(
    Object.fromEntries(
      dependencyFields.filter((field) => field in manifest).map((field) => [field, manifest[field]])
    )
  )

/** The fields of package.json that package managers read for an install of dependencies. */
const dependencyFields = [
  ..."name dependencies devDependencies optionalDependencies peerDependencies".split(" "),
  ..."peerDependenciesMeta bundleDependencies bundledDependencies overrides engines".split(" "),
  ..."os cpu libc packageManager devEngines pnpm resolutions dependenciesMeta".split(" "),
  ..."trustedDependencies".split(" ")
]
const ownScripts = "preinstall install postinstall prepublish preprepare prepare postprepare"

/** No scripts that an install would run, no parts that are packages themselves. */
export const standsAlone = (
  root: string,
  manifest: Manifest
): Effect.Effect<boolean, BuildError> => {
  const scripts = isRecord(manifest.scripts) ? manifest.scripts : {}
  const runsOwn = ownScripts.split(" ").some((script) => script in scripts)
  return runsOwn || "workspaces" in manifest
    ? Effect.succeed(false)
    : isFile(root, "binding.gyp").pipe(Effect.map((found) => !found))
}
