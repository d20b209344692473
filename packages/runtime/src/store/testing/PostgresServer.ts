/**
 * A real Postgres for one test file: Debian's programs, a cluster of its own in a temporary folder, on
 * loopback alone, and without the fsync that only a power cut needs. It dies with the test process.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chownSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs"
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
  /** The address of an empty database that nobody else has. */
  readonly database: () => string
  readonly stop: () => Promise<void>
}

export const startPostgres = async (): Promise<PostgresServer> => {
  const bin = programs()
  if (bin === null) throw new Error("Postgres is not installed")
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "deploy-mcp-postgres-"))
  const data = join(folder, "data")
  if (process.getuid?.() === 0) chownSync(folder, nobody, nobody)
  const port = await freePort()
  run(join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
  const server = spawn(
    "setpriv",
    [
      ...["--pdeathsig", "SIGQUIT", ...asNobody, "--", join(bin, "postgres"), "-D", data],
      ...["-h", "127.0.0.1", "-k", "", "-p", `${port}`, "-F", "-c", "max_connections=200"]
    ],
    { stdio: ["ignore", "ignore", "pipe"] }
  )
  await started(server)
  const url = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`
  return {
    database: () => {
      const name = `test_${randomBytes(6).toString("hex")}`
      run(join(bin, "psql"), "-q", "-d", url("postgres"), "-c", `CREATE DATABASE ${name}`)
      return url(name)
    },
    stop: async () => {
      await new Promise((resolve) => {
        server.once("exit", resolve)
        server.kill("SIGINT")
      })
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

const asNobody =
  process.getuid?.() === 0 ? [`--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"] : []

const run = (program: string, ...args: ReadonlyArray<string>) =>
  execFileSync("setpriv", [...asNobody, "--", program, ...args], {
    stdio: ["ignore", "ignore", "pipe"]
  })

const started = (server: ChildProcess) =>
  new Promise<void>((resolve, reject) => {
    let output = ""
    const late = setTimeout(() => reject(new Error(`Postgres is not ready:\n${output}`)), patience)
    server.once("exit", (code) => reject(new Error(`Postgres ended with ${code}:\n${output}`)))
    server.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (output.length < 10_000) output += text
      if (!output.includes("ready to accept connections")) return
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
