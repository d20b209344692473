/**
 * A platform as its users run it: both bundles, a home of its own, free ports. It is started, asked,
 * killed, started again and stopped, and a stop says whether anything was left.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert } from "vitest"
import { type Api, apiOf } from "./Api.ts"
import { eventually } from "./Eventually.ts"
import { isAlive, remainsOf } from "./Remains.ts"
import { type Answer, type Asked, ask, type Probe, probe } from "./Requests.ts"
import { makeWorkTree, type WorkTree } from "./WorkTree.ts"

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const flags = ["--max-semi-space-size=4", "--disable-warning=ExperimentalWarning"]

export interface Ports {
  readonly port: number
  readonly appsPort: number
}

export interface Platform {
  /** Holds the home and whatever a test puts beside it; removed with `dispose`. */
  readonly folder: string
  readonly home: string
  readonly ports: () => Ports
  /** Where MCP, git and the API are. */
  readonly url: () => string
  /** The owner's key, as the file has it now. */
  readonly key: () => string
  readonly api: Api
  /** Whether each process has a network of its own, so that fixed ports can overlap. */
  readonly ownNetwork: () => Promise<boolean>
  readonly pid: (which: "control" | "edge") => number
  /** What the processes of control have printed since the beginning. */
  readonly output: () => string
  readonly workTree: () => Promise<WorkTree>
  /** Asks a service by its label, e.g. `my-saas`. */
  readonly get: (label: string, more?: Partial<Asked>) => Promise<Answer>
  readonly probe: (label: string) => Probe
  /** Resolves when what was killed is gone. */
  readonly kill9: (which: "control" | "edge" | "both") => Promise<void>
  /** Starts control again on the same home; ready when it resolves. */
  readonly start: (changed?: Partial<Ports & Version>) => Promise<void>
  /** SIGTERM; asserts exit code 0 and that nothing is left but the home. */
  readonly stop: () => Promise<void>
  /** Stops whatever runs and removes the folder. */
  readonly dispose: () => Promise<void>
}

export interface Version {
  /** The folder of its bundles. */
  readonly dist: string
}

const here: Version = { dist: join(root, "dist") }

/** `env` is added to the platform's own settings. */
export const startPlatform = async (
  env: Readonly<Record<string, string>> = {},
  version = here
): Promise<Platform> => {
  await bundles()
  // `npm test` ends what is left of its own run by this name.
  const name = `deploy-mcp-e2e-${process.env.TEST_RUN ?? ""}`
  const folder = mkdtempSync(join(realpathSync(tmpdir()), name))
  // Services run as users of their own, and their files lie below.
  chmodSync(folder, 0o711)
  const home = join(folder, "home")
  let ports: Ports = { port: await freePort(), appsPort: await freePort() }
  let child: ChildProcess | undefined
  let output = ""

  const url = () => `http://127.0.0.1:${ports.port}`
  const key = () => readFileSync(join(home, "owner-key"), "utf8").trim()
  const api = apiOf(url, key)
  const pid = (which: "control" | "edge") =>
    Number(readFileSync(join(home, "run", `${which}.pid`), "utf8"))

  let { dist } = version
  const start = async (changed: Partial<Ports & Version> = {}) => {
    ports = { port: changed.port ?? ports.port, appsPort: changed.appsPort ?? ports.appsPort }
    dist = changed.dist ?? dist
    const started = spawnControl(home, ports, env, { dist })
    child = started
    for (const stream of [started.stdout, started.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output += text
      })
    }
    await eventually("the platform is ready", async () => {
      if (hasEnded(started)) throw new Error(`control has ended:\n${output}`)
      return fetch(`${url()}/readyz`).then(
        ({ ok }) => ok,
        () => false
      )
    })
  }

  const kill9 = async (which: "control" | "edge" | "both") => {
    const pids = (["control", "edge"] as const)
      .filter((one) => which === one || which === "both")
      .map(pid)
    for (const one of pids) process.kill(one, "SIGKILL")
    await eventually(`${which} is gone`, () => !pids.some(isAlive))
  }

  const stop = async () => {
    const edge = pid("edge")
    assert(child !== undefined && !hasEnded(child), `control is not running:\n${output}`)
    assert.strictEqual(await terminated(child), 0, output)
    assert.isFalse(isAlive(edge), "the edge outlived a stop")
    assert.deepStrictEqual(remainsOf(home), [])
    const errors = output.split("\n").filter((line) => /level=(?:ERROR|FATAL)/u.test(line))
    assert.deepStrictEqual(errors, [])
    for (const which of ["control", "edge"] as const) assert.isUndefined(pidIn(home, which))
  }

  const dispose = async () => {
    if (child !== undefined && !hasEnded(child)) await terminated(child)
    for (const one of [pidIn(home, "edge")]) if (one !== undefined) await killIfThere(one)
    rmSync(folder, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    folder,
    home,
    ports: () => ports,
    url,
    key,
    api,
    ownNetwork: async () =>
      (await api.whoami()).platform.some((line) => line.includes("own network namespace")),
    pid,
    output: () => output,
    workTree: () => makeWorkTree(folder),
    get: (label, more) => ask({ port: ports.appsPort, host: `${label}.localhost`, ...more }),
    probe: (label) => probe(ports.appsPort, `${label}.localhost`),
    kill9,
    start,
    stop,
    dispose
  }
}

/** The process that `npm start` becomes. */
export const spawnControl = (
  home: string,
  ports: Ports,
  env: Readonly<Record<string, string>> = {},
  { dist } = here
): ChildProcess =>
  spawn(process.execPath, [...flags, join(dist, "control.mjs")], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...withoutSettings(process.env),
      DEPLOY_MCP_HOME: home,
      DEPLOY_MCP_PORT: String(ports.port),
      DEPLOY_MCP_APPS_PORT: String(ports.appsPort),
      DEPLOY_MCP_CONTROL: join(dist, "control.mjs"),
      DEPLOY_MCP_EDGE: join(dist, "edge.mjs"),
      // A test changes nothing of the machine's own network.
      DEPLOY_MCP_EGRESS: "none",
      ...env
    }
  })

/** Below the range that the kernel gives out by itself, so nothing takes it meanwhile. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once("error", () => resolve(false))
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}

/** What is in dist/ is of these sources when it resolves. */
export const bundles = () => promisify(execFile)(process.execPath, [join(root, "bin/bundle.mjs")])

const withoutSettings = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("DEPLOY_MCP_")))

const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null

/** The exit code, or the signal that ended it. */
export const endOf = (child: ChildProcess): Promise<number | string> =>
  hasEnded(child)
    ? Promise.resolve(child.exitCode ?? child.signalCode ?? "")
    : new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal ?? "")))

const terminated = (child: ChildProcess): Promise<number | string> => {
  const end = endOf(child)
  child.kill("SIGTERM")
  return end
}

const pidIn = (home: string, which: "control" | "edge"): number | undefined => {
  try {
    return Number(readFileSync(join(home, "run", `${which}.pid`), "utf8")) || undefined
  } catch {
    return undefined
  }
}

/** A test that failed in the middle may have left an edge without its control. */
const killIfThere = async (edge: number): Promise<void> => {
  if (!isAlive(edge)) return
  process.kill(edge, "SIGTERM")
  await eventually("the edge has stopped", () => !isAlive(edge))
}
