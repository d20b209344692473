/** An `npm ci` whose outcome depends on nothing but its manifests, as its lockfile shows. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect, Option, Schema } from "effect"
import { dependenciesOf, isRecord, maxLockfile, maxManifest, standsAlone } from "./Manifest.ts"
import { readJson, readText } from "./PackageJson.ts"
import { npmLockfiles } from "./PackageManagers.ts"
import { firstFile } from "./SourceTree.ts"
import type { TreeInput } from "./TreeRequest.ts"

/** Flags that keep the outcome a function of the manifests. */
const keepable =
  /^npm ci(?: --(?:omit|include|install-strategy)=[a-z]+| --(?:legacy-peer-deps|strict-peer-deps|ignore-scripts|force|no-audit|no-fund))*$/u

/** Null: this install has to run among the project's files, each time. */
export const npmTree = Effect.fn("Build.npmTree")(function* (
  root: string,
  install: string
): Effect.fn.Return<TreeInput | null, BuildError> {
  if (!keepable.test(install)) return null
  const manifest = yield* readJson(root, "package.json", maxManifest)
  const name = (yield* firstFile(root, npmLockfiles)) ?? npmLockfiles[1]
  const lock = yield* readJson(root, name, maxLockfile)
  const lockText = yield* readText(root, name, maxLockfile)
  const npmrc = yield* readText(root, ".npmrc", maxManifest)
  if (!isRecord(manifest) || !isRecord(lock) || lockText === null) return null
  if (!(yield* standsAlone(root, manifest))) return null
  const packages = lockedPackages(lock)
  if (packages === null || packages.some(isLocal)) return null

  const usesVariables =
    (npmrc?.includes("${") ?? false) || packages.some((each) => each.hasInstallScript === true)
  const files = {
    "package.json": dependenciesOf(manifest),
    [name]: lockText,
    ...(npmrc === null ? {} : { ".npmrc": npmrc })
  }
  return { folder: "node_modules", files, usesVariables }
})

interface LockedPackage {
  readonly path: string
  readonly link?: boolean
  readonly resolved?: string
  readonly hasInstallScript?: boolean
}

const Locked = Schema.Record(
  Schema.String,
  Schema.Struct({
    link: Schema.optionalKey(Schema.Boolean),
    resolved: Schema.optionalKey(Schema.String),
    hasInstallScript: Schema.optionalKey(Schema.Boolean)
  })
)

/** Null for lockfiles older than version 2, which do not say which packages have scripts. */
const lockedPackages = (
  lock: Readonly<Record<string, unknown>>
): ReadonlyArray<LockedPackage> | null =>
  Option.match(Schema.decodeUnknownOption(Locked)(lock.packages), {
    onNone: () => null,
    onSome: (packages) =>
      Object.entries(packages)
        .filter(([path]) => path !== "")
        .map(([path, locked]) => ({ path, ...locked }))
  })

/** A folder or archive of the project itself. */
const isLocal = ({ path, link, resolved }: LockedPackage) =>
  link === true || (resolved?.startsWith("file:") ?? false) || !path.startsWith("node_modules/")
