/** The tenant's Node.js and the npm that goes with it: found once, never started to be asked. */
import { readFile, realpath, stat } from "node:fs/promises"
import { delimiter, dirname, join } from "node:path"
import { Effect } from "effect"
import type { PlanTools } from "../detection/PlanTools.ts"
import { findLanguages, type Languages } from "./Languages.ts"

export interface Npm {
  readonly version: string
  /** Absolute path of npm's own package. */
  readonly directory: string
}

export interface Toolchain extends PlanTools {
  readonly node: { readonly bin: string; readonly version: string }
  readonly npm: Npm | null
  readonly languages: Languages
}

const revision = "deploy-mcp build 1"

export const findToolchain = (
  node: { readonly bin: string; readonly version: string },
  searchPath: string
): Effect.Effect<Toolchain> =>
  Effect.gen(function* () {
    const npm = yield* findNpm(node.bin, searchPath)
    const platform = `${process.platform} ${process.arch} ${libc()}`
    return {
      revision,
      node,
      npm,
      languages: yield* findLanguages(searchPath),
      platform,
      versions: [
        revision,
        `node ${node.version}`,
        ...(npm === null ? [] : [`npm ${npm.version}`]),
        platform
      ]
    }
  })

/** The one beside Node.js wins; a global one on the path is next. */
const findNpm = (nodeBin: string, searchPath: string): Effect.Effect<Npm | null> =>
  Effect.promise(async () => {
    const beside = join(dirname(nodeBin), "lib", "node_modules", "npm")
    const found = await npmAt(beside)
    if (found !== null) return found
    for (const directory of [nodeBin, ...searchPath.split(delimiter)]) {
      if (!directory.startsWith("/")) continue
      const cli = await realpath(join(directory, "npm")).catch(() => null)
      // `npm` is a link to npm/bin/npm-cli.js; anything else is a wrapper that we cannot follow.
      const npm = cli?.endsWith("/bin/npm-cli.js") ? await npmAt(dirname(dirname(cli))) : null
      if (npm !== null) return npm
    }
    return null
  })

const npmAt = async (directory: string): Promise<Npm | null> => {
  const cli = await stat(join(directory, "bin", "npm-cli.js")).catch(() => null)
  if (cli === null) return null
  const text = await readFile(join(directory, "package.json"), "utf8").catch(() => "")
  const version = /"version":\s*"([^"]+)"/u.exec(text)?.[1]
  return version === undefined ? null : { version, directory: await realpath(directory) }
}

/** Native packages are chosen by it. */
const libc = (): string => {
  if (process.platform !== "linux") return "none"
  const header: unknown = Reflect.get(process.report.getReport(), "header")
  const glibc = typeof header === "object" && header !== null && "glibcVersionRuntime" in header
  return glibc ? "glibc" : "musl"
}
