/** Deploying without a platform: the same git, npm and node, called by a script. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { delimiter, join } from "node:path"
import { createInterface } from "node:readline"
import { systemCa } from "@deploy-mcp/providers/build/process/SandboxProbe"
import { freePort } from "../e2e/Platform.ts"
import { untilAnswers } from "./UntilAnswers.ts"

export interface Floor {
  readonly folder: string
  readonly port: number
  readonly pid: number
  /** Makes an empty bare repository; answers where to push to. */
  readonly repository: (name: string) => Promise<string>
  /** The files of a repository's branch main, in a new folder. */
  readonly checkOut: (name: string, into?: string) => Promise<string>
  readonly npmCi: (directory: string) => Promise<void>
  /** A tree of hard links. */
  readonly link: (from: string, to: string) => Promise<void>
  /** Starts `node <script>` in a folder and waits for its first 200, if `body` accepts it. */
  readonly start: (
    directory: string,
    script: string,
    accepts?: (body: string) => boolean
  ) => Promise<App>
  readonly close: () => Promise<void>
}

export interface App {
  readonly port: number
  readonly pid: number
  /** By `performance.now()`. */
  readonly readyAt: number
  readonly stop: () => Promise<void>
}

export const makeFloor = async (parent: string): Promise<Floor> => {
  const folder = mkdtempSync(join(parent, "floor-"))
  mkdirSync(join(folder, "site"))
  const server = spawn(process.execPath, [join(import.meta.dirname, "FloorServer.ts"), folder], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const port = Number(await firstLine(server))
  const git = (...args: ReadonlyArray<string>) => must(folder, "git", args, {})
  let count = 0
  return {
    folder,
    port,
    pid: server.pid ?? 0,
    repository: async (name) => {
      await git("init", "--quiet", "--bare", "--initial-branch=main", `${name}.git`)
      return `http://pusher:floor@127.0.0.1:${port}/git/${name}.git`
    },
    checkOut: async (name, into) => {
      const directory = into ?? join(folder, `out-${++count}`)
      mkdirSync(directory, { recursive: true })
      await git(
        "--git-dir",
        `${name}.git`,
        "--work-tree",
        directory,
        "checkout",
        "--force",
        "main",
        "--",
        "."
      )
      return directory
    },
    npmCi: (directory) =>
      must(directory, process.execPath, [npmCli(), "ci", "--omit=dev", ...npmFlags], {
        npm_config_cache: join(folder, "npm-cache"),
        ...(ca === null ? {} : { NODE_EXTRA_CA_CERTS: ca, npm_config_cafile: ca })
      }),
    link: (from, to) => must(folder, "cp", ["-al", "--", from, to], {}),
    start: (directory, script, accepts) => startApp(directory, script, accepts),
    close: async () => {
      server.stdin?.end()
      await ended(server)
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

const startApp = async (
  directory: string,
  script: string,
  accepts: (body: string) => boolean = () => true
): Promise<App> => {
  const port = await freePort()
  const child = spawn(process.execPath, [script], {
    cwd: directory,
    stdio: "ignore",
    env: { PATH: process.env.PATH, PORT: String(port), NODE_ENV: "production" }
  })
  const { at } = await untilAnswers({ port, host: "localhost", accepts })
  return {
    port,
    pid: child.pid ?? 0,
    readyAt: at,
    stop: async () => {
      child.kill("SIGKILL")
      await ended(child)
    }
  }
}

/** What our own builds tell npm, so that the same is compared. */
const npmFlags = [
  ..."--no-audit --no-fund --no-update-notifier --no-progress --prefer-offline".split(" "),
  "--fetch-retries=2"
]
const ca = systemCa()

/** The npm that a person would call: the first one on PATH, as a script for our node. */
const npmCli = () => {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    try {
      const found = realpathSync(join(directory, "npm"))
      if (found.endsWith("npm-cli.js")) return found
    } catch {
      // Not here.
    }
  }
  throw new Error("npm was not found on PATH")
}

const must = async (
  cwd: string,
  command: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>
): Promise<void> => {
  const child = spawn(command, args, {
    cwd,
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      ...env
    }
  })
  let said = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text
  })
  const code = await ended(child)
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${said}`)
}

export const ended = (child: ChildProcess): Promise<number | string> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode ?? child.signalCode ?? "")
    : new Promise((resolve, reject) => {
        child.once("error", reject)
        child.once("close", (code, signal) => resolve(code ?? signal ?? ""))
      })

const firstLine = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    if (child.stdout === null) throw new Error("its output is not a pipe")
    createInterface({ input: child.stdout }).once("line", resolve)
    child.once("exit", (code) => reject(new Error(`the floor's server ended with ${code}`)))
  })
