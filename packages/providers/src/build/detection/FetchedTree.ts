/** Installs by pnpm, yarn and bun that depend on nothing but their manifests and settings. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { dependenciesOf, isRecord, maxLockfile, maxManifest, standsAlone } from "./Manifest.ts"
import { readJson, readText } from "./PackageJson.ts"
import { firstFile, isDirectory } from "./SourceTree.ts"
import type { TreeInput } from "./TreeRequest.ts"

/** The lines that are planned, and no others. */
const keepable =
  /^npm exec --yes --package=[\w@/.-]+ -- (pnpm|yarn|bun) install(?: --[\w-]+(?:=\w+|="\$XDG_CACHE_HOME\/pnpm-store")?)*$/u

const lockfiles = { pnpm: "pnpm-lock.yaml", yarn: "yarn.lock", bun: "bun.lock" }

/** Settings that shape an install; each is read by at least one of them. */
const settings = [".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml", "pnpm-workspace.yaml"]

/** Programs of the project that an install would run. */
const programs = [".pnpmfile.cjs", ".pnpmfile.mjs"]

/** Null: this install has to run among the project's files, each time. */
export const fetchedTree = Effect.fn("Build.fetchedTree")(function* (
  root: string,
  install: string
): Effect.fn.Return<TreeInput | null, BuildError> {
  const name = keepable.exec(install)?.[1]
  if (name !== "pnpm" && name !== "yarn" && name !== "bun") return null
  const manifest = yield* readJson(root, "package.json", maxManifest)
  const lock = yield* readText(root, lockfiles[name], maxLockfile)
  if (!isRecord(manifest) || lock === null || isLocal.test(lock)) return null
  if (!(yield* standsAlone(root, manifest))) return null
  if ((yield* firstFile(root, programs)) !== null) return null
  for (const folder of [".yarn/plugins", ".yarn/patches"]) {
    if (yield* isDirectory(root, folder)) return null
  }
  const files: Record<string, string> = {
    "package.json": dependenciesOf(manifest),
    [lockfiles[name]]: lock
  }
  for (const file of settings) {
    const text = yield* readText(root, file, maxManifest)
    if (text === null) continue
    // Other packages of the project, programs of the project, patches of dependencies.
    if (/^(?:packages|plugins|patchedDependencies|yarnPath|preload):?/mu.test(text)) return null
    files[file] = text
  }
  // Their lockfiles do not tell which dependencies run scripts.
  return { folder: "node_modules", files, usesVariables: true }
})

/** Something in the project's own folders; its root is in some lockfiles as `name@workspace:.`. */
const isLocal = /\b(?:file|link|portal|patch|exec):|patchedDependencies|workspace:(?!\.["\s,])/u
