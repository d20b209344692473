/**
 * The git that all work is done by, and the environment it runs in: made from nothing, with the
 * whole configuration in it, so that neither the machine nor a repository can change what git does.
 */
import { spawn } from "node:child_process"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { GitError } from "@deploy-mcp/domain/Git"
import { type Duration, Effect } from "effect"
import { rejected, unavailable } from "../GitFault.ts"
import type { Location } from "./Identity.ts"
import { type Network, open as openTunnel, type Refusal } from "./Tunnel.ts"

export interface Settings {
  readonly maxFetchBytes: number
  readonly maxSourceBytes: number
  readonly maxSourceFiles: number
  readonly maxCacheBytes: number
  readonly timeLimit: Duration.Duration
  /** A file of certificates to trust instead of the machine's; empty for the machine's. */
  readonly authorities: string
  readonly path: string
}

export interface GitClient {
  /** Where repositories are kept between two fetches. */
  readonly mirrors: string
  /** Emptied at each start. */
  readonly temporary: string
  /** A repository without objects whose `info/attributes` rule out every conversion. */
  readonly plain: string
  /** Runs git here, without a network; interruption kills it and waits for its death. */
  readonly local: (
    args: ReadonlyArray<string>,
    more?: Readonly<Record<string, string>>
  ) => Effect.Effect<GitResult, GitError>
  /** Runs git against a repository elsewhere; fails unless git succeeds. */
  readonly remote: (
    location: Location,
    args: ReadonlyArray<string>,
    directory?: string
  ) => Effect.Effect<GitResult, GitError>
}

export interface GitResult {
  /** `killed` when git was stopped from outside, as for too long an answer. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export const open = Effect.fn("GitClient.open")(function* (
  directory: string,
  settings: Settings,
  network: Network
) {
  const folder = {
    home: join(directory, "home"),
    mirrors: join(directory, "mirrors"),
    temporary: join(directory, "tmp"),
    plain: join(directory, "plain.git")
  }
  yield* storage(async () => {
    await rm(folder.temporary, { recursive: true, force: true })
    for (const path of Object.values(folder)) await mkdir(path, { recursive: true, mode: 0o700 })
  })
  const git = (
    args: ReadonlyArray<string>,
    rules: ReadonlyArray<readonly [string, string]>,
    more: Readonly<Record<string, string>>
  ) =>
    run(args, folder.home, {
      PATH: settings.path,
      HOME: folder.home,
      LC_ALL: "C",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_DEFAULT_HASH: "sha1",
      GIT_DEFAULT_REF_FORMAT: "files",
      GIT_TERMINAL_PROMPT: "0",
      GIT_PROTOCOL_FROM_USER: "0",
      GIT_ALLOW_PROTOCOL: "https",
      GIT_CONFIG_COUNT: String(rules.length),
      ...Object.fromEntries(
        rules.flatMap(([key, value], index) => [
          [`GIT_CONFIG_KEY_${index}`, key],
          [`GIT_CONFIG_VALUE_${index}`, value]
        ])
      ),
      GIT_DIR: folder.plain,
      ...more
    })

  const local: GitClient["local"] = (args, more = {}) => git(args, always, more)
  const remote: GitClient["remote"] = (location, args, repository = folder.plain) =>
    Effect.gen(function* () {
      const tunnel = yield* openTunnel(network, settings.maxFetchBytes)
      const rules = [
        ...always,
        ["http.proxy", tunnel.proxy],
        ...(settings.authorities === "" ? [] : [["http.sslCAInfo", settings.authorities] as const])
      ] as const
      const result = yield* git(args, rules, { GIT_DIR: repository })
      if (result.code === 0) return result
      return yield* whyNot(location, settings, tunnel.refusal(), result.stderr)
    }).pipe(
      Effect.scoped,
      Effect.timeoutOrElse({
        duration: settings.timeLimit,
        orElse: () => Effect.fail(unavailable(`${location.title} took too long to answer.`))
      })
    )

  const version = yield* local(["--version"])
  // Before 2.32 git ignores GIT_CONFIG_COUNT or GIT_CONFIG_GLOBAL, and with them every rule below.
  const [major = 0, minor = 0] = version.stdout.match(/\d+/g)?.map(Number) ?? []
  if (major < 2 || (major === 2 && minor < 32)) {
    return yield* unavailable("The git on this server is too old; version 2.32 is needed.")
  }
  yield* local(["init", "--quiet", "--bare", "--template="])
  yield* storage(async () => {
    await mkdir(join(folder.plain, "info"), { recursive: true })
    await writeFile(
      join(folder.plain, "info", "attributes"),
      "* -text !eol -ident !filter !working-tree-encoding\n"
    )
  })
  const client: GitClient = { ...folder, local, remote }
  return client
})

const always = [
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["core.symlinks", "true"],
  ["core.protectHFS", "true"],
  ["core.protectNTFS", "true"],
  ["core.logAllRefUpdates", "false"],
  // Larger files are streamed instead of held in memory.
  ["core.bigFileThreshold", "16m"],
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  ["submodule.recurse", "false"],
  ["credential.helper", ""],
  ["protocol.version", "2"],
  ["transfer.bundleURI", "false"],
  ["fetch.uriProtocols", ""],
  ["fetch.unpackLimit", "1"],
  ["fetch.fsckObjects", "true"],
  // Marks of old tools in commits that harm nobody.
  ["fetch.fsck.zeroPaddedFilemode", "ignore"],
  ["fetch.fsck.badTimezone", "ignore"],
  ["fetch.fsck.missingSpaceBeforeDate", "ignore"],
  ["http.followRedirects", "initial"],
  ["http.sslVerify", "true"],
  // Otherwise the password is sent only when it has been asked for.
  ["http.proxyAuthMethod", "basic"]
] as const

/** What git says is for the log alone; the caller hears of the repository that was named. */
const whyNot = Effect.fn("GitClient.whyNot")(function* (
  { title }: Location,
  { maxFetchBytes }: Settings,
  refusal: Refusal,
  stderr: string
) {
  if (refusal === "size") {
    return yield* rejected(
      "source_too_large",
      `${title} sends more than ${Math.floor(maxFetchBytes / 1024 / 1024)} MiB.`
    )
  }
  if (refusal === "address" || otherScheme.test(stderr)) {
    return yield* rejected(
      "invalid_argument",
      `${title} is not, or redirects to what is not, at a public address over https on port 443.`,
      { next: "Name a repository on a public host, e.g. github.com/owner/name." }
    )
  }
  if (/ not found$|could not read Username|Authentication failed/m.test(stderr)) {
    return yield* missing(title)
  }
  if (/not our ref|no such remote ref|unadvertised object/i.test(stderr)) {
    return yield* rejected("branch_missing", `This commit is not in ${title}.`, {
      next: "Name a commit that a branch of the repository holds."
    })
  }
  yield* Effect.logWarning("git could not read a repository", { repository: title, stderr })
  return yield* unavailable(`${title} cannot be read now.`)
})

/** A redirect away from https, in the words of libcurl's older and newer versions. */
const otherScheme = /protocol .*(disabled|not supported)|unsupported (url scheme|protocol)/i

/** Work on files of our own. What went wrong is logged; the caller learns only that it did. */
export const storage = <A>(work: () => Promise<A>): Effect.Effect<A, GitError> =>
  Effect.tryPromise(work).pipe(
    Effect.tapError(({ cause }) => Effect.logError("The git storage failed", cause)),
    Effect.mapError(() => unavailable("The storage of git repositories cannot be used now."))
  )

export const killed = -1

/** A list of 100,000 files with long paths stays below. */
const longestAnswer = 64 * 1024 * 1024
const longestComplaint = 64 * 1024

const run = (args: ReadonlyArray<string>, cwd: string, env: Record<string, string>) =>
  Effect.callback<GitResult, GitError>((resume) => {
    // A group of its own, so that its helpers die with it.
    const child = spawn("git", args, {
      cwd,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"]
    })
    const kill = () => child.pid !== undefined && signal(child.pid)
    const stdout: Array<Buffer> = []
    const stderr: Array<Buffer> = []
    let heard = 0
    let complained = 0
    child.stdout.on("data", (chunk: Buffer) => {
      heard += chunk.length
      if (heard > longestAnswer) kill()
      else stdout.push(chunk)
    })
    child.stderr.on("data", (chunk: Buffer) => {
      complained += chunk.length
      if (complained <= longestComplaint) stderr.push(chunk)
    })
    child.once("error", () =>
      resume(Effect.fail(unavailable("git is not installed on this server, or not on its PATH.")))
    )
    child.once("close", (code) =>
      resume(
        Effect.succeed({
          code: code ?? killed,
          stdout: Buffer.concat(stdout).toString(),
          stderr: Buffer.concat(stderr).toString()
        })
      )
    )
    return Effect.callback<void>((done) => {
      if (child.pid === undefined) return done(Effect.void)
      child.once("close", () => done(Effect.void))
      kill()
    })
  })

const signal = (group: number) => {
  try {
    process.kill(-group, "SIGKILL")
  } catch {
    // It has ended by itself.
  }
}

const missing = (repository: string): GitError =>
  rejected("repository_missing", `${repository} does not exist, or is not public.`, {
    next: "Correct the name, or make the repository public."
  })
