/** Which steps a Node project needs: install only with dependencies, build only with a script. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { rejected } from "../BuildFault.ts"
import type { PackageJson } from "./PackageJson.ts"
import { npmLockfiles, packageManager } from "./PackageManagers.ts"
import type { PlanTools } from "./PlanTools.ts"
import { type Commands, withWorkers } from "./Procfile.ts"
import { firstFile } from "./SourceTree.ts"
import { startLine } from "./StartLine.ts"

interface Project {
  readonly source: string
  readonly root: string
  readonly settings: ServiceSettings
  /** Null for a single file without package.json. */
  readonly manifest: PackageJson | null
  /** The file that Node would be started with. */
  readonly entry: string | null
  readonly tools: PlanTools
  /** Processes beside it, which only a program can have. */
  readonly workers: Commands
}

/** `static`: the project only makes files, which are served afterwards. */
export const detectNode = (project: Project) =>
  Effect.fn("Build.detectNode")(function* (
    kind: BuildPlan["kind"]
  ): Effect.fn.Return<BuildPlan, BuildError> {
    const { source, root, settings, manifest, entry, tools } = project
    const scripts = manifest?.scripts ?? {}
    const start = kind === "node" ? startOf(project) : null
    if (kind === "node" && start === null) return yield* noStart(manifest)
    const workers = kind === "node" ? project.workers : {}
    const programs = [start, ...Object.values(workers).map((line) => startLine(line, scripts))]
    const hasScript = scripts.build !== undefined
    const builds = settings.build_command !== undefined || hasScript
    const needsDev = builds || programs.some((line) => isDev(manifest, line?.program ?? null))
    const wanted = settings.install_command === undefined && needsInstall(manifest, needsDev)
    const manager = wanted ? yield* packageManager(source, root, manifest) : null
    const install = settings.install_command ?? manager?.install(needsDev)
    const script = hasScript ? (manager?.run("build") ?? "npm run build") : undefined
    const build = settings.build_command ?? script
    if (tools.npm === null && [install, build].some((line) => line?.startsWith("npm "))) {
      return yield* rejected("toolchain_missing", "npm is not installed on this machine.")
    }
    return {
      kind,
      ...(install === undefined ? {} : { install }),
      ...(build === undefined ? {} : { build }),
      ...(start === null ? {} : { start: start.line }),
      ...withWorkers(workers, (line) => startLine(line, scripts).line),
      toolchain: [...tools.versions, ...(manager?.versions ?? [])],
      detected: describe(
        manifest,
        entry,
        manager?.lockfile ?? (yield* firstFile(root, npmLockfiles))
      )
    }
  })

const startOf = ({ settings, manifest, entry }: Project) => {
  const scripts = manifest?.scripts ?? {}
  if (settings.start_command !== undefined) return startLine(settings.start_command, scripts)
  if (scripts.start !== undefined) return startLine("npm start", scripts)
  return entry === null ? null : startLine(`node ${quote(entry)}`, scripts)
}

const quote = (file: string) =>
  /^[A-Za-z0-9_./-]+$/u.test(file) ? file : `'${file.replaceAll("'", `'\\''`)}'`

const noStart = (manifest: PackageJson | null) =>
  rejected(
    "no_start_command",
    manifest?.main === undefined
      ? "package.json has no start script, and there is no index.js or server.js."
      : `package.json has no start script, and its main file '${manifest.main}' is not there.`
  )

/** Tried in this order when package.json names neither a start script nor a main file. */
const entries = ["index", "server", "main", "app"].flatMap((name) =>
  ["js", "mjs", "cjs", "ts", "mts"].map((extension) => `${name}.${extension}`)
)

/** package.json's `main` when that file is there, else one of the usual names. */
export const nodeEntry = (
  root: string,
  manifest: PackageJson | null
): Effect.Effect<string | null, BuildError> => {
  const main = manifest?.main?.replace(/^\.\//u, "")
  const named = main === undefined || main === "" ? [] : [main, `${main}.js`, `${main}/index.js`]
  return firstFile(root, [...named, ...entries])
}

export const hasDependencies = (manifest: PackageJson | null): boolean =>
  count(manifest?.dependencies) + count(manifest?.optionalDependencies) > 0

/** Templates of single-page applications start a server for development; what they build is served. */
export const isDevServer = (manifest: PackageJson): boolean =>
  manifest.scripts?.build !== undefined && devServer.test(manifest.scripts.start ?? "")

const devServer =
  /^(?:npx\s+)?(?:vite(?:\s+(?:dev|serve|preview))?|(?:react-scripts|react-app-rewired|craco)\s+start|vue-cli-service\s+serve|ng\s+serve|parcel(?:\s+serve)?\s+\S+\.html|webpack(?:\s+|-dev-)(?:serve|server)|rsbuild\s+(?:dev|preview))(?:\s+-.*)?$/u

const count = (record: Readonly<Record<string, unknown>> | undefined) =>
  Object.keys(record ?? {}).length

/** A start script may name a program that only comes with a development dependency, like tsx. */
const isDev = (manifest: PackageJson | null, program: string | null): boolean =>
  program !== null && Object.hasOwn(manifest?.devDependencies ?? {}, program)

const needsInstall = (manifest: PackageJson | null, needsDev: boolean): boolean =>
  hasDependencies(manifest) || (needsDev && count(manifest?.devDependencies) > 0)

const describe = (manifest: PackageJson | null, entry: string | null, lockfile: string | null) => {
  if (manifest === null) return entry ?? "start_command"
  return lockfile === null ? "package.json" : `package.json with ${lockfile}`
}
