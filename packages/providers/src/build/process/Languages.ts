/** Installations of other languages on this machine, each found when the first project asks for it. */
import { execFile } from "node:child_process"
import { readFile, realpath, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { executable } from "./SandboxProbe.ts"

export interface Language {
  /** `go 1.26.8`. */
  readonly version: string
  /** Absolute; goes in front of PATH, in builds and in services. */
  readonly bin: string
  /** Absolute; holds all of the installation and is seen at the same place by steps. */
  readonly root: string
}

export interface Languages {
  readonly python: Effect.Effect<Language | null>
  readonly go: Effect.Effect<Language | null>
}

export const findLanguages = (searchPath: string): Effect.Effect<Languages> =>
  Effect.gen(function* () {
    return {
      python: yield* Effect.cached(findPython(searchPath)),
      go: yield* Effect.cached(findGo(searchPath))
    }
  })

/** It is asked where it lives: what is on the path may be a script of a version manager. */
const findPython = (searchPath: string): Effect.Effect<Language | null> =>
  Effect.promise(async () => {
    const program = executable("python3", searchPath)
    if (program === null) return null
    const [root, version] = (await outputOf(program, searchPath)).split("\n")
    return root !== undefined &&
      version !== undefined &&
      isOwnFolder(root) &&
      /^3\.\d+\.\d+/u.test(version)
      ? { version: `python ${version}`, bin: join(root, "bin"), root }
      : null
  })

const question =
  'import sys, platform; print(sys.base_prefix, platform.python_version(), sep="\\n")'

const outputOf = (program: string, searchPath: string): Promise<string> =>
  new Promise((resolve) => {
    const options = { env: { PATH: searchPath }, cwd: "/", timeout: 20_000 }
    execFile(program, ["-I", "-c", question], options, (_, stdout) => resolve(stdout))
  })

const findGo = (searchPath: string): Effect.Effect<Language | null> =>
  Effect.promise(async () => {
    const program = executable("go", searchPath)
    if (program === null) return null
    const bin = dirname(await realpath(program))
    const text = await readFile(join(dirname(bin), "VERSION"), "utf8").catch(() => "")
    const version = /^go(\d+\.\d+\S*)/u.exec(text)?.[1]
    const root = dirname(bin)
    return version !== undefined && isOwnFolder(root)
      ? { version: `go ${version}`, bin, root }
      : null
  })

/** What is shown to steps: not a folder as wide as `/home`. */
const isOwnFolder = (root: string): boolean => root === "/usr" || /^\/[^/]+\/[^/]/u.test(root)

/** Whether a user that owns none of it can get there. */
export const isOpen = ({ bin }: Language): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    for (let at = bin; at !== "/"; at = dirname(at)) {
      const found = await stat(at).catch(() => null)
      if (found === null || (found.mode & 0o001) === 0) return false
    }
    return true
  })
