/**
 * What every operation of this provider stands on: where repositories lie, which git runs, and the
 * environment that it runs in. The environment is made from nothing and carries the whole
 * configuration, so neither the machine nor a pusher can change how git behaves.
 */
import { execFile } from "node:child_process"
import { access, chmod, constants, mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { GitError } from "@deploy-mcp/domain/Git"
import type { Repository } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { unavailable } from "../GitFault.ts"
import { hooks } from "./Hooks.ts"

export interface GitHost {
  readonly directory: string
  readonly pathOf: (repository: Repository) => string
  /** Folders of our own; their name can't be that of a repository. */
  readonly hooks: string
  readonly temporary: string
  /** A repository without objects whose `info/attributes` rule out every conversion. */
  readonly plain: string
  /** Absolute path of `git-http-backend`. */
  readonly backend: string
  readonly environment: (
    settings: ReadonlyArray<readonly [key: string, value: string]>,
    more: Readonly<Record<string, string>>
  ) => Record<string, string>
  /** Runs one short git command to its end; interruption kills it and waits for its death. */
  readonly git: (
    args: ReadonlyArray<string>,
    more?: Readonly<Record<string, string>>,
    input?: Uint8Array
  ) => Effect.Effect<GitResult, GitError>
}

export interface GitResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Fails when git is missing or too old, or when the folder can't hold hooks that run. */
export const open = Effect.fn("GitHost.open")(function* (directory: string, path: string) {
  const own = join(directory, ".server")
  const folder = {
    home: join(own, "home"),
    hooks: join(own, "hooks"),
    temporary: join(own, "tmp"),
    plain: join(own, "plain.git")
  }
  const environment: GitHost["environment"] = (settings, more) => ({
    PATH: path,
    HOME: folder.home,
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_DEFAULT_HASH: "sha1",
    GIT_DEFAULT_REF_FORMAT: "files",
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(
      settings.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value]
      ])
    ),
    ...more
  })
  const git: GitHost["git"] = (args, more = {}, input) =>
    run(args, environment(always, more), input)

  yield* storage(async () => {
    await rm(folder.temporary, { recursive: true, force: true })
    for (const path of Object.values(folder)) await mkdir(path, { recursive: true })
    for (const [name, text] of Object.entries(hooks)) {
      await writeFile(join(folder.hooks, name), text)
      await chmod(join(folder.hooks, name), 0o755)
      await access(join(folder.hooks, name), constants.X_OK)
    }
  })
  const [version, programs] = yield* Effect.all([git(["--version"]), git(["--exec-path"])], {
    concurrency: 2
  })
  // Before 2.32 git ignores GIT_CONFIG_COUNT or GIT_CONFIG_GLOBAL, and with them every rule below.
  const [major = 0, minor = 0] = version.stdout.match(/\d+/g)?.map(Number) ?? []
  if (major < 2 || (major === 2 && minor < 32)) {
    return yield* unavailable("The git on this server is too old; version 2.32 is needed.")
  }
  yield* git(["init", "--quiet", "--bare", "--template=", folder.plain])
  yield* storage(async () => {
    await mkdir(join(folder.plain, "info"), { recursive: true })
    await writeFile(
      join(folder.plain, "info", "attributes"),
      "* -text !eol -ident !filter !working-tree-encoding\n"
    )
  })
  const host: GitHost = {
    directory,
    pathOf: ({ id }) => join(directory, `${id}.git`),
    hooks: folder.hooks,
    temporary: folder.temporary,
    plain: folder.plain,
    backend: join(programs.stdout.trim(), "git-http-backend"),
    environment,
    git
  }
  return host
})

/** Rules for every command. `safe.directory`: the folder may be a volume that another user owns. */
export const always = [
  ["safe.directory", "*"],
  ["core.fsmonitor", "false"],
  ["core.symlinks", "true"],
  ["core.protectHFS", "true"],
  ["core.protectNTFS", "true"],
  ["core.logAllRefUpdates", "false"],
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  ["submodule.recurse", "false"]
] as const

/** Work on files of our own. What went wrong is logged; the caller learns only that it did. */
export const storage = <A>(work: () => Promise<A>): Effect.Effect<A, GitError> =>
  Effect.tryPromise(work).pipe(
    Effect.tapError(({ cause }) => Effect.logError("The git storage failed", cause)),
    Effect.mapError(() => unavailable("The storage of git repositories cannot be used now."))
  )

/** The text of a file; null when there is no such file. */
export const readText = (file: string): Effect.Effect<string | null, GitError> =>
  storage(() =>
    readFile(file, "utf8").catch((cause: unknown) => {
      if (isAbsent(cause)) return null
      throw cause
    })
  )

/** There is no such file or folder. */
export const isAbsent = (cause: unknown): boolean =>
  cause instanceof Error &&
  "code" in cause &&
  (cause.code === "ENOENT" || cause.code === "ENOTDIR" || cause.code === "EISDIR")

/** A list of 100,000 files with long paths stays below. */
const longestAnswer = 64 * 1024 * 1024

const run = (
  args: ReadonlyArray<string>,
  env: Record<string, string>,
  input: Uint8Array | undefined
) =>
  Effect.callback<GitResult, GitError>((resume) => {
    const child = execFile(
      "git",
      args,
      { env, maxBuffer: longestAnswer },
      (error, stdout, stderr) =>
        resume(
          error === null
            ? Effect.succeed({ code: 0, stdout, stderr })
            : typeof error.code === "number"
              ? Effect.succeed({ code: error.code, stdout, stderr })
              : Effect.fail(
                  unavailable(
                    error.code === "ENOENT"
                      ? "git is not installed on this server, or not on its PATH."
                      : "git was stopped before it had finished."
                  )
                )
        )
    )
    if (input !== undefined) {
      // One that ends before it has read all says by its code why.
      child.stdin?.on("error", () => undefined)
      child.stdin?.end(input)
    }
    return Effect.callback<void>((done) => {
      const over = child.pid === undefined || child.exitCode !== null || child.signalCode !== null
      if (over) return done(Effect.void)
      child.once("exit", () => done(Effect.void))
      child.kill("SIGTERM")
    })
  })
