/** The machine's own git, run with argument vectors and without anything that could ask or leak. */
import { refuse } from "@deploy-mcp/domain/Failure"
import { Effect, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

export interface GitResult {
  readonly code: number
  readonly stdout: string
  /** Lines of stderr: git's own messages and, with `remote: `, those of the other side. */
  readonly messages: ReadonlyArray<string>
}

export interface GitOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Receives each line of stderr as it arrives. */
  readonly onMessage?: (line: string) => Effect.Effect<void>
}

/** Runs git to its end; any exit code is an answer. */
export const run = Effect.fn("git")(
  function* (
    args: ReadonlyArray<string>,
    { cwd, env = {}, onMessage = () => Effect.void }: GitOptions
  ) {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const handle = yield* spawner.spawn(
      ChildProcess.make("git", args, {
        cwd,
        env: { ...inherited(), GIT_TERMINAL_PROMPT: "0", LC_ALL: "C", ...env },
        stdin: "ignore"
      })
    )
    const [stdout, messages] = yield* Effect.all(
      [
        handle.stdout.pipe(Stream.decodeText(), Stream.mkString),
        handle.stderr.pipe(
          Stream.decodeText(),
          Stream.splitLines,
          Stream.map((line) => line.trimEnd()),
          Stream.tap(onMessage),
          Stream.runCollect
        )
      ],
      { concurrency: 2 }
    )
    const result: GitResult = { code: yield* handle.exitCode, stdout: stdout.trimEnd(), messages }
    return result
  },
  Effect.scoped,
  Effect.catchTag("PlatformError", (error) =>
    Effect.fail(
      refuse("toolchain_missing", "git could not be run.", {
        evidence: [error.message],
        next: "Install git and see that it is on PATH; deploy-mcp doctor checks the machine."
      })
    )
  )
)

/** The standard output of a git that must succeed. */
export const output = (args: ReadonlyArray<string>, options: GitOptions) =>
  Effect.flatMap(run(args, options), ({ code, stdout, messages }) =>
    code === 0
      ? Effect.succeed(stdout)
      : Effect.fail(
          refuse("push_refused", `git ${args[0]} failed with exit code ${code}.`, {
            evidence: messages.slice(-8),
            next: "Read the lines above, correct the cause and try again."
          })
        )
  )

export interface Remote {
  /** Without credentials, so it may stand in a command line that everybody can read. */
  readonly url: string
  /** Hands the credentials to git where only its own user can read them. */
  readonly env: Readonly<Record<string, string>>
}

/** Splits a URL with credentials in it. */
export const remoteOf = (pushUrl: string): Remote => {
  const url = new URL(pushUrl)
  const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  url.username = ""
  url.password = ""
  const header = `Authorization: Basic ${Buffer.from(login).toString("base64")}`
  return {
    url: url.href,
    env: configuration([
      ["credential.helper", ""],
      // The platform answers on this machine; a proxy could not reach it.
      ["http.proxy", ""],
      [`http.${url.origin}/.extraHeader`, header],
      ["push.followTags", "false"],
      ["push.gpgSign", "false"],
      ["push.recurseSubmodules", "no"]
    ])
  }
}

const configuration = (entries: ReadonlyArray<readonly [key: string, value: string]>) => ({
  GIT_CONFIG_COUNT: String(entries.length),
  ...Object.fromEntries(
    entries.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value]
    ])
  )
})

/** Our environment without what would point git at another repository (set when a hook runs us). */
const inherited = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || /^GIT_(?!SSL_|TRACE|EXEC_PATH$)/u.test(name) ? [] : [[name, value]]
    )
  )
