/** Which steps a Node project needs: install only with dependencies, build only with a script. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { rejected } from "./BuildFault.ts"
import type { PackageJson } from "./PackageJson.ts"
import { firstFile, isFile } from "./SourceTree.ts"
import { startLine } from "./StartLine.ts"
import type { Toolchain } from "./Toolchain.ts"

export const lockfiles = ["npm-shrinkwrap.json", "package-lock.json"] as const

interface Project {
  readonly source: string
  readonly root: string
  readonly settings: ServiceSettings
  /** Null for a single file without package.json. */
  readonly manifest: PackageJson | null
  /** The file that Node would be started with. */
  readonly entry: string | null
  readonly toolchain: Toolchain
}

/** `static`: the project only makes files, which are served afterwards. */
export const detectNode = (project: Project) =>
  Effect.fn("BuildProcess.detectNode")(function* (
    kind: BuildPlan["kind"]
  ): Effect.fn.Return<BuildPlan, BuildError> {
    const { settings, manifest, toolchain } = project
    const start = kind === "node" ? startOf(project) : null
    if (kind === "node" && start === null) return yield* noStart(manifest)
    const script = manifest?.scripts?.build === undefined ? undefined : "npm run build"
    const build = settings.build_command ?? script
    const needsDev = build !== undefined || isDev(manifest, start?.program ?? null)
    const install = settings.install_command ?? (yield* installOf(project, needsDev))
    if (toolchain.npm === null && [install, build].some((line) => line?.startsWith("npm "))) {
      return yield* rejected("toolchain_missing", "npm is not installed on this machine.")
    }
    return {
      kind,
      ...(install === undefined ? {} : { install }),
      ...(build === undefined ? {} : { build }),
      ...(start === null ? {} : { start: start.line }),
      toolchain: toolchain.versions,
      detected: yield* describe(project)
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

const installOf = (project: Project, needsDev: boolean) =>
  Effect.gen(function* () {
    const { source, root, manifest } = project
    const needed = hasDependencies(manifest) || (needsDev && count(manifest?.devDependencies) > 0)
    if (!needed) return undefined
    const lockfile = yield* firstFile(root, lockfiles)
    const other = yield* otherPackageManager(root, manifest, lockfile)
    if (other !== null) {
      return yield* rejected(
        "toolchain_missing",
        `${other.sign}: ${other.name} is not supported yet.`,
        {
          evidence: [other.sign],
          next: "Use npm: run npm install, commit package-lock.json, remove the other package manager's files and its field in package.json, and push again."
        }
      )
    }
    if (lockfile === null) {
      const above = root !== source && (yield* firstFile(source, lockfiles)) !== null
      return yield* rejected(
        "lockfile_missing",
        "package.json has dependencies, but there is no package-lock.json beside it.",
        above
          ? {
              next: "The lockfile is above root_directory, and only root_directory is built: leave root_directory out and set build_command and start_command (npm's -w option picks a workspace), or commit a lockfile in that folder."
            }
          : {}
      )
    }
    return needsDev ? "npm ci --include=dev" : "npm ci --omit=dev"
  })

const otherLockfiles = [
  ["pnpm-lock.yaml", "pnpm"],
  ["bun.lock", "bun"],
  ["bun.lockb", "bun"],
  ["yarn.lock", "yarn"]
] as const

/** The field decides; without it a foreign lockfile counts only where npm's own is missing. */
const otherPackageManager = (root: string, manifest: PackageJson | null, lockfile: string | null) =>
  Effect.gen(function* () {
    const declared = manifest?.packageManager?.split("@")[0]
    if (declared === "npm") return null
    if (declared !== undefined && declared !== "") {
      return { name: declared, sign: `packageManager in package.json is '${declared}'` }
    }
    if (lockfile !== null) return null
    for (const [file, name] of otherLockfiles) {
      if (yield* isFile(root, file)) return { name, sign: file }
    }
    const engine = ["pnpm", "yarn", "bun"].find((name) => manifest?.engines?.[name] !== undefined)
    return engine === undefined
      ? null
      : { name: engine, sign: `engines in package.json has '${engine}'` }
  })

const describe = ({ root, manifest, entry }: Project) =>
  Effect.gen(function* () {
    if (manifest === null) return entry ?? "start_command"
    const lockfile = yield* firstFile(root, lockfiles)
    return lockfile === null ? "package.json" : `package.json with ${lockfile}`
  })
