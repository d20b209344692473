/** Runs `buildx build`, the client of BuildKit, to its end or our interruption. */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { delimiter, isAbsolute, join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { errorCode, unavailable } from "../BuildFault.ts"
import { mark } from "../Marks.ts"
import type { Work } from "../Workplaces.ts"
import { type Progress, reader } from "./Progress.ts"

/** Where Docker's packages and Debian's put it. */
const folders = ["/usr/libexec", "/usr/lib", "/usr/local/libexec", "/usr/local/lib"].map((folder) =>
  join(folder, "docker", "cli-plugins")
)

/** Null when the machine has none. It works without Docker's own command line. */
export const findBuildx = (searchPath: string): string | null =>
  [...folders, ...searchPath.split(delimiter).filter(isAbsolute)]
    .map((folder) => join(folder, "docker-buildx"))
    .find((file) => existsSync(file)) ?? null

export interface Buildx {
  readonly program: string
  readonly socket: string
  /** May hold a `config.json` with logins to registries; only read. */
  readonly configFolder: string
}

export interface BuildxCall {
  readonly work: Work
  /** Options, and the folder with what is copied from. */
  readonly args: ReadonlyArray<string>
  /** By their ids; they are on no command line and in no file. */
  readonly secrets: Readonly<Record<string, string>>
}

/** Null: it ended by a signal. */
type ExitCode = number | null

/** When it returns, fails or is interrupted, buildx is gone and BuildKit has been told to stop. */
export const runBuildx = (
  { program, socket, configFolder }: Buildx,
  { work, args, secrets }: BuildxCall,
  tell: (progress: Progress) => void
): Effect.Effect<ExitCode, BuildError> =>
  Effect.callback<ExitCode, BuildError>((resume) => {
    const named = Object.entries(secrets).map(([id, text], n) => ({
      id,
      variable: `SECRET_${n}`,
      text
    }))
    const child = spawn(
      program,
      [
        "build",
        ...["--builder=default", "--progress=rawjson", "--provenance=false", "--sbom=false"],
        ...named.flatMap(({ id, variable }) => ["--secret", `id=${id},env=${variable}`]),
        ...args
      ],
      {
        cwd: work.directory,
        stdio: ["ignore", "ignore", "pipe"],
        env: {
          PATH: "/usr/local/bin:/usr/bin:/bin",
          HOME: work.directory,
          DOCKER_HOST: `unix://${socket}`,
          DOCKER_CONFIG: configFolder,
          BUILDX_CONFIG: join(work.directory, "buildx"),
          [mark]: work.name,
          ...Object.fromEntries(named.map(({ variable, text }) => [variable, text]))
        }
      }
    )
    readLines(child, reader(), tell)
    const closed = new Promise<ExitCode>((resolve) => {
      child.once("close", resolve)
      child.once("error", () => child.pid ?? resolve(null))
    })
    child.once("error", (cause) =>
      resume(Effect.fail(unavailable(`Could not start ${program}: ${errorCode(cause)}.`)))
    )
    closed.then((code) => resume(Effect.succeed(code)))
    // Asked to end it tells BuildKit first; a kill is noticed there too, only later.
    return Effect.sync(() => child.kill("SIGTERM")).pipe(
      Effect.andThen(Effect.interruptible(Effect.promise(() => closed))),
      Effect.timeoutOrElse({
        duration: "5 seconds",
        orElse: () =>
          Effect.promise(() => {
            child.kill("SIGKILL")
            return closed
          })
      })
    )
  })

const readLines = (
  child: ChildProcess,
  read: (line: string) => ReadonlyArray<Progress>,
  tell: (progress: Progress) => void
): void => {
  let rest = ""
  const take = (text: string, isLast: boolean) => {
    const lines = (rest + text).split("\n")
    rest = isLast ? "" : (lines.pop() ?? "")
    for (const line of lines) read(line).forEach(tell)
  }
  child.stderr?.setEncoding("utf8").on("data", (text: string) => take(text, false))
  child.stderr?.once("end", () => take("", true))
}
