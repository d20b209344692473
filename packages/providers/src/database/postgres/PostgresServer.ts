/**
 * A real Postgres for one test file: Debian's programs, a cluster of its own in a temporary folder, on
 * loopback alone, and without the fsync that only a power cut needs. It dies with the test process.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const installed = "/usr/lib/postgresql"
/** Postgres refuses to run as root. */
const nobody = 65_534
const patience = 30_000

/** Where Debian keeps the newest one; null: not on this machine. */
const programs = (): string | null => {
  const versions = existsSync(installed) ? readdirSync(installed).map(Number) : []
  const newest = versions.filter((version) => version >= 14).sort((a, b) => b - a)[0]
  const folder = `${installed}/${newest}/bin`
  return newest !== undefined && existsSync(join(folder, "initdb")) ? folder : null
}
export const hasPostgres = programs() !== null

export interface PostgresServer {
  /** How its superuser reaches a database, `postgres` when none is named. */
  readonly url: (database?: string) => string
  /** Runs one statement as the superuser in the database `postgres`. */
  readonly execute: (statement: string) => void
  /** All that it has logged. */
  readonly log: () => string
  /** The address of an empty database that nobody else has. */
  readonly database: () => string
  /** kill -9 of all its processes; resolves when they are gone. */
  readonly kill: () => Promise<void>
  /** Starts it again after that, on the same data and port. */
  readonly startAgain: () => Promise<void>
  /** Sends a signal such as SIGSTOP to all its processes. */
  readonly signal: (signal: NodeJS.Signals) => void
  readonly stop: () => Promise<void>
}

/** `settings`: lines of `postgresql.conf`, e.g. `log_statement=all`. */
export const startPostgres = async (
  settings: ReadonlyArray<string> = []
): Promise<PostgresServer> => {
  const bin = programs()
  if (bin === null) throw new Error("Postgres is not installed")
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "deploy-mcp-postgres-"))
  const data = join(folder, "data")
  const password = randomBytes(12).toString("hex")
  const passwordFile = join(folder, "password")
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (process.getuid?.() === 0) {
    for (const path of [folder, passwordFile]) chownSync(path, nobody, nobody)
  }
  const port = await freePort()
  const login = ["-U", "postgres", "-A", "scram-sha-256", `--pwfile=${passwordFile}`]
  run(join(bin, "initdb"), ["-D", data, ...login, "-E", "UTF8", "--no-sync"])
  let log = ""
  const serve = async () => {
    const from = log.length
    const child = spawn(
      "setpriv",
      [
        ...["--pdeathsig", "SIGQUIT", ...asNobody, "--", join(bin, "postgres"), "-D", data],
        ...["-h", "127.0.0.1", "-k", "", "-p", `${port}`, "-F", "-c", "max_connections=200"],
        ...settings.flatMap((setting) => ["-c", setting])
      ],
      { stdio: ["ignore", "ignore", "pipe"] }
    )
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text
    })
    await started(child, () => log.slice(from))
    return child
  }
  let server = await serve()
  const url = (database = "postgres") =>
    `postgres://postgres:${password}@127.0.0.1:${port}/${database}`
  const execute = (statement: string) => {
    const where = ["-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres", "-d", "postgres"]
    run(join(bin, "psql"), ["-q", ...where, "-c", statement], { PGPASSWORD: password })
  }
  const signal = (name: NodeJS.Signals) => {
    for (const pid of [server.pid, ...childrenOf(server.pid)]) if (pid) process.kill(pid, name)
  }
  return {
    url,
    execute,
    log: () => log,
    database: () => {
      const name = `test_${randomBytes(6).toString("hex")}`
      execute(`CREATE DATABASE ${name}`)
      return url(name)
    },
    kill: async () => {
      const gone = ended(server)
      signal("SIGKILL")
      await gone
    },
    startAgain: async () => {
      server = await serve()
    },
    signal,
    stop: async () => {
      const gone = ended(server)
      server.kill("SIGINT")
      await gone
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

const asNobody =
  process.getuid?.() === 0 ? [`--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"] : []

const run = (program: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  execFileSync("setpriv", [...asNobody, "--", program, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env }
  })

/** Postgres has a process for each connection, all children of the first. */
const childrenOf = (parent: number | undefined): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name) && parentOf(name) === parent)
    .map(Number)

const parentOf = (pid: string): number | undefined => {
  try {
    return Number(/\) \S (\d+)/u.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1])
  } catch {
    return undefined
  }
}

const ended = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once("exit", () => resolve()))

const started = (server: ChildProcess, log: () => string) =>
  new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`Postgres is not ready:\n${log()}`)), patience)
    server.once("exit", (code) => reject(new Error(`Postgres ended with ${code}:\n${log()}`)))
    server.stderr?.on("data", () => {
      if (!log().includes("ready to accept connections")) return
      clearTimeout(late)
      resolve()
    })
  })

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const probe = createServer()
    probe.once("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      probe.close(() => resolve(port))
    })
  })
