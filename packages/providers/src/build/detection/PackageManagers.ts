/**
 * Which package manager a Node project asks for, and its command lines. All but npm are fetched as
 * packages by npm itself, inside the sandbox and into the owner's cache.
 */
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { rejected } from "../BuildFault.ts"
import { type PackageJson, readText } from "./PackageJson.ts"
import { firstFile, isFile } from "./SourceTree.ts"

export const npmLockfiles = ["npm-shrinkwrap.json", "package-lock.json"] as const

type Name = "npm" | "pnpm" | "yarn" | "bun"

export interface PackageManager {
  readonly name: Name
  /** The lockfile that is there. */
  readonly lockfile: string
  /** `pnpm 10.34.8`; empty for npm, which is part of the machine's toolchain. */
  readonly versions: ReadonlyArray<string>
  readonly install: (needsDev: boolean) => string
  readonly run: (script: string) => string
}

/** `source`: the checkout, which may hold the lockfile that `root` lacks. */
export const packageManager = Effect.fn("Build.packageManager")(function* (
  source: string,
  root: string,
  manifest: PackageJson | null
): Effect.fn.Return<PackageManager, BuildError> {
  const declared = declaredManager(manifest)
  if (declared !== null && !isName(declared.name)) {
    const sign = `packageManager in package.json is '${declared.name}'`
    return yield* rejected("toolchain_missing", `${sign}, which is not supported.`, {
      evidence: [sign],
      next: "Use npm, pnpm, yarn or bun: commit its lockfile, correct packageManager and push again."
    })
  }
  const name = declared?.name ?? (yield* nameByFile(root, manifest))
  if (!isName(name)) return yield* missing("npm", source, root)
  const lockfile = yield* firstFile(root, lockfiles[name])
  if (lockfile === null) return yield* missing(name, source, root)
  if (name === "npm") return npm(lockfile)
  const version = declared?.version ?? null
  if (name === "pnpm") return pnpm(version ?? (yield* pnpmFor(root)))
  if (name === "bun") return bun(version ?? pinned.bun, lockfile)
  const text = (yield* readText(root, lockfile, maxLockfile)) ?? ""
  if (/^__metadata:/mu.test(text) || /^(?:[2-9]|\d\d)/u.test(version ?? "")) {
    yield* requireFolders(root)
    return yarnModern(version ?? pinned.yarnModern)
  }
  return yarnClassic(version ?? pinned.yarnClassic)
})

/** Used where packageManager in package.json names no version. */
const pinned = {
  pnpm: "10.34.8",
  /** By lockfileVersion, for those that the one above does not read. */
  pnpmBefore: { "5": "7.33.7", "6": "8.15.9" },
  yarnModern: "4.18.1",
  yarnClassic: "1.22.22",
  bun: "1.4.5"
} as const

const lockfiles: Readonly<Record<Name, ReadonlyArray<string>>> = {
  npm: npmLockfiles,
  pnpm: ["pnpm-lock.yaml"],
  bun: ["bun.lock", "bun.lockb"],
  yarn: ["yarn.lock"]
}
const maxLockfile = 64 * 1024 * 1024

const isName = (name: string): name is Name => Object.hasOwn(lockfiles, name)

/** The version becomes part of a command line; one that is not exact is left to us. */
const declaredManager = (manifest: PackageJson | null) => {
  const text = manifest?.packageManager ?? ""
  const name = text.split("@")[0] ?? ""
  const version = /^[a-z]+@(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)(?:\+.*)?$/u.exec(text)?.[1]
  return name === "" ? null : { name, version: version ?? null }
}

/** npm needs no download, so its lockfile wins over another one beside it. */
const nameByFile = (
  root: string,
  manifest: PackageJson | null
): Effect.Effect<string, BuildError> =>
  Effect.gen(function* () {
    for (const name of ["npm", "pnpm", "bun", "yarn"] as const) {
      if ((yield* firstFile(root, lockfiles[name])) !== null) return name
    }
    return ["pnpm", "yarn", "bun"].find((name) => manifest?.engines?.[name] !== undefined) ?? "npm"
  })

const missing = (name: Name, source: string, root: string): Effect.Effect<never, BuildError> =>
  Effect.gen(function* () {
    const file = name === "npm" ? "package-lock.json" : (lockfiles[name][0] ?? "")
    const above = root !== source && (yield* firstFile(source, lockfiles[name])) !== null
    return yield* rejected(
      "lockfile_missing",
      `package.json has dependencies, but there is no ${file} beside it.`,
      {
        next: above
          ? "The lockfile is above root_directory, and only root_directory is built: leave root_directory out and set build_command and start_command (npm's -w option picks a workspace), or commit a lockfile in that folder."
          : `Run ${name} install, commit ${file} and push again.`
      }
    )
  })

const npm = (lockfile: string): PackageManager => ({
  name: "npm",
  lockfile,
  versions: [],
  install: (needsDev) => (needsDev ? "npm ci --include=dev" : "npm ci --omit=dev"),
  run: (script) => `npm run ${script}`
})

/** Files are copied out of the caches: what a build then does to them stays with it. */
const pnpm = (version: string): PackageManager => ({
  ...fetched("pnpm", `pnpm@${version}`),
  lockfile: "pnpm-lock.yaml",
  install: (needsDev) =>
    `${prefix(`pnpm@${version}`)} pnpm install --frozen-lockfile --package-import-method=copy ` +
    `--store-dir="$XDG_CACHE_HOME/pnpm-store"${needsDev ? "" : " --prod"}`
})

const yarnModern = (version: string): PackageManager => ({
  ...fetched("yarn", `@yarnpkg/cli-dist@${version}`),
  lockfile: "yarn.lock",
  install: () => `${prefix(`@yarnpkg/cli-dist@${version}`)} yarn install --immutable`
})

const yarnClassic = (version: string): PackageManager => ({
  ...fetched("yarn", `yarn@${version}`),
  lockfile: "yarn.lock",
  install: (needsDev) =>
    `${prefix(`yarn@${version}`)} yarn install --frozen-lockfile --non-interactive` +
    (needsDev ? "" : " --production")
})

const bun = (version: string, lockfile: string): PackageManager => ({
  ...fetched("bun", `bun@${version}`),
  lockfile,
  install: (needsDev) =>
    `${prefix(`bun@${version}`)} bun install --frozen-lockfile --backend=copyfile` +
    (needsDev ? "" : " --production")
})

const fetched = (name: Name, spec: string) => ({
  name,
  versions: [spec.replace(/@(?=[^@]*$)/u, " ")],
  run: (script: string) => `${prefix(spec)} ${name} run ${script}`
})

const prefix = (spec: string) => `npm exec --yes --package=${spec} --`

const pnpmFor = (root: string): Effect.Effect<string, BuildError> =>
  readText(root, "pnpm-lock.yaml", maxLockfile).pipe(
    Effect.map((text) => {
      const major = /^lockfileVersion:\s*'?(\d+)/mu.exec(text ?? "")?.[1]
      return major === "5" || major === "6" ? pinned.pnpmBefore[major] : pinned.pnpm
    })
  )

/** Plug'n'Play keeps no node_modules, which is what is kept, linked and started from here. */
const requireFolders = (root: string): Effect.Effect<void, BuildError> =>
  Effect.gen(function* () {
    const settings = yield* readText(root, ".yarnrc.yml", 1024 * 1024)
    const linker = /^nodeLinker:\s*["']?([\w-]+)/mu.exec(settings ?? "")?.[1]
    if (linker === "node-modules") return
    const pnp = (yield* isFile(root, ".pnp.cjs")) ? [".pnp.cjs"] : []
    return yield* rejected(
      "manifest_invalid",
      `.yarnrc.yml asks for the linker '${linker ?? "pnp"}'; only node-modules is supported.`,
      {
        evidence: linker === undefined ? pnp : [`nodeLinker: ${linker}`],
        next: "Put 'nodeLinker: node-modules' into .yarnrc.yml, run yarn install, commit .yarnrc.yml and yarn.lock, and push again."
      }
    )
  })
