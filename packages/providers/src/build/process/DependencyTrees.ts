/**
 * Installed dependencies, kept by everything that shapes them and used again by hard link or copy.
 * Only an `npm ci` whose outcome depends on nothing but its manifests is kept; it runs in a
 * directory of its own, so that a project's files cannot change what is kept.
 */
import { createHash } from "node:crypto"
import { rename, stat, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Clock, Effect, Option, Schema } from "effect"
import { attempt, errorCode } from "./BuildFault.ts"
import { makeDirectory, move, remove } from "./Directories.ts"
import { lockfiles } from "./NodeProject.ts"
import { readJson, readText } from "./PackageJson.ts"
import { seal } from "./Seal.ts"
import { isFile } from "./SourceTree.ts"
import type { Work } from "./Workplaces.ts"

export interface TreeRequest {
  readonly key: string
  /** Files to install from, by name. */
  readonly files: Readonly<Record<string, string>>
  /** Whether an install may see the tenant's variables, because it can make use of them. */
  readonly usesVariables: boolean
}

export interface Tree {
  /** Holds what belongs under `node_modules`; shared, so nobody may write to it. */
  readonly modules: string
  readonly bytes: number
}

/** Flags that keep the outcome a function of the manifests. */
const keepable =
  /^npm ci(?: --(?:omit|include|install-strategy)=[a-z]+| --(?:legacy-peer-deps|strict-peer-deps|ignore-scripts|force|no-audit|no-fund))*$/u

/** Fields of package.json that npm reads for an install of dependencies. */
const dependencyFields = [
  ..."name dependencies devDependencies optionalDependencies peerDependencies".split(" "),
  ..."peerDependenciesMeta bundleDependencies bundledDependencies overrides engines".split(" "),
  ..."os cpu libc packageManager devEngines".split(" ")
]
const ownScripts = "preinstall install postinstall prepublish preprepare prepare postprepare"

/** Null: this install has to run among the project's files, each time. */
export const treeRequest = Effect.fn("BuildProcess.treeRequest")(function* (
  root: string,
  install: string,
  identity: ReadonlyArray<string>,
  variables: Readonly<Record<string, string>>
): Effect.fn.Return<TreeRequest | null, BuildError> {
  if (!keepable.test(install)) return null
  const manifest = yield* readJson(root, "package.json", maxManifest)
  const name = (yield* isFile(root, lockfiles[0])) ? lockfiles[0] : lockfiles[1]
  const lock = yield* readJson(root, name, maxLockfile)
  const lockText = yield* readText(root, name, maxLockfile)
  const npmrc = yield* readText(root, ".npmrc", maxManifest)
  if (!isRecord(manifest) || !isRecord(lock) || lockText === null) return null
  const scripts = isRecord(manifest.scripts) ? manifest.scripts : {}
  const runsOwn = ownScripts.split(" ").some((script) => script in scripts)
  if (runsOwn || "workspaces" in manifest || (yield* isFile(root, "binding.gyp"))) return null
  const packages = lockedPackages(lock)
  if (packages === null || packages.some(isLocal)) return null

  const usesVariables =
    (npmrc?.includes("${") ?? false) || packages.some((each) => each.hasInstallScript === true)
  const reduced = Object.fromEntries(
    dependencyFields.filter((field) => field in manifest).map((field) => [field, manifest[field]])
  )
  const files = {
    "package.json": JSON.stringify(reduced),
    [name]: lockText,
    ...(npmrc === null ? {} : { ".npmrc": npmrc })
  }
  const seen = usesVariables ? Object.entries(variables).sort() : []
  const parts = JSON.stringify([install, identity, Object.entries(files), seen])
  return { key: createHash("sha256").update(parts).digest("hex"), files, usesVariables }
})

const maxManifest = 1024 * 1024
const maxLockfile = 64 * 1024 * 1024

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

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

/** The kept tree, when it is there. */
export const findTree = (trees: string, key: string): Effect.Effect<Tree | null, BuildError> =>
  Effect.gen(function* () {
    const directory = join(trees, key)
    const text = yield* readText(directory, "tree.json", maxManifest)
    const meta = Option.getOrNull(Schema.decodeOption(Meta)(text ?? ""))
    if (meta === null) return null
    // Tells the sweep that it is still wanted; one that cannot be touched is used all the same.
    const now = (yield* Clock.currentTimeMillis) / 1000
    yield* attempt("touch a tree", () => utimes(directory, now, now)).pipe(Effect.ignore)
    return { modules: join(directory, "node_modules"), bytes: meta.bytes }
  })

const Meta = Schema.fromJsonString(Schema.Struct({ bytes: Schema.Int }))

/** Keeps what `install` leaves in its `node_modules`; whoever is first with a key wins. */
export const makeTree = <R>(
  trees: string,
  request: TreeRequest,
  work: Work,
  limit: number,
  install: (directory: string) => Effect.Effect<void, BuildError, R>
): Effect.Effect<Tree | null, BuildError, R> =>
  Effect.gen(function* () {
    const app = join(work.directory, "install")
    const made = join(work.directory, "tree")
    yield* makeDirectory(app)
    yield* makeDirectory(made)
    yield* attempt("write the manifests", () =>
      Promise.all(
        Object.entries(request.files).map(([name, text]) => writeFile(join(app, name), text))
      )
    )
    yield* install(app)
    const modules = join(app, "node_modules")
    yield* makeDirectory(modules)
    yield* move(modules, join(made, "node_modules"))
    const bytes = yield* seal(join(made, "node_modules"), { limit })
    yield* attempt("keep the dependencies", async () => {
      await writeFile(join(made, "tree.json"), JSON.stringify({ bytes }))
      await rename(made, join(trees, request.key)).catch((cause: unknown) => {
        if (!["ENOTEMPTY", "EEXIST"].includes(errorCode(cause))) throw cause
      })
    })
    yield* remove(app)
    return yield* findTree(trees, request.key)
  })

/** Removes trees that no build has used for `maxAge` milliseconds. Artifacts keep their own names. */
export const sweepTrees = (
  trees: string,
  names: ReadonlyArray<string>,
  now: number,
  maxAge: number
): Effect.Effect<void, BuildError> =>
  Effect.forEach(
    names,
    (name) =>
      attempt("read a tree", () => stat(join(trees, name))).pipe(
        Effect.flatMap(({ mtimeMs }) =>
          now - mtimeMs > maxAge ? remove(join(trees, name)) : Effect.void
        )
      ),
    { discard: true }
  )
