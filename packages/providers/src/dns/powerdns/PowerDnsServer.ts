/** The real server for tests: a child process on loopback ports, with everything in one folder. */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, request, type Server } from "node:http"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Context, Effect, Layer, Schedule } from "effect"
import { ask } from "../Ask.ts"

export class PowerDnsServer extends Context.Service<
  PowerDnsServer,
  {
    readonly dns: number
    readonly api: URL
    /** The same API behind a wire that carries every change and loses its answer. */
    readonly deaf: URL
    readonly apiKey: string
  }
>()("@deploy-mcp/providers/test/PowerDnsServer") {}

const schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"

const program = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"]
  .map((folder) => join(folder, "pdns_server"))
  .find((file) => existsSync(file))

export const isInstalled = program !== undefined && existsSync(schema)

const apiKey = "a-key-that-nobody-may-see"

export const layer = Layer.effect(
  PowerDnsServer,
  Effect.gen(function* () {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "pdns-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const [dns, api] = [yield* freePort, yield* freePort]
    const database = new DatabaseSync(join(directory, "zones.sqlite"))
    database.exec(readFileSync(schema, "utf8"))
    database.close()
    writeFileSync(join(directory, "pdns.conf"), settings(directory, dns, api))
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(program ?? "pdns_server", [`--config-dir=${directory}`], { stdio: "ignore" })
      ),
      stop
    )
    yield* ask({
      server: "127.0.0.1",
      port: dns,
      name: "x.test",
      type: "A",
      transport: "tcp"
    }).pipe(
      Effect.andThen(Effect.tryPromise(() => fetch(`http://127.0.0.1:${api}/`))),
      Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 300 }),
      Effect.orDie
    )
    const deaf = yield* deafProxy(api)
    return {
      dns,
      api: new URL(`http://127.0.0.1:${api}`),
      deaf: new URL(`http://127.0.0.1:${deaf}`),
      apiKey
    }
  })
)

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const port = portOf(server)
    server.close(() => resume(Effect.succeed(port)))
  })
})

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Nothing is remembered, so that a change is answered from at once. */
const settings = (directory: string, dns: number, api: number) => `launch=gsqlite3
gsqlite3-database=${directory}/zones.sqlite
gsqlite3-pragma-synchronous=0
local-address=127.0.0.1
local-port=${dns}
socket-dir=${directory}
daemon=no
guardian=no
disable-syslog=yes
write-pid=no
api=yes
api-key=${apiKey}
webserver=yes
webserver-address=127.0.0.1
webserver-port=${api}
webserver-allow-from=127.0.0.0/8
zone-cache-refresh-interval=0
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
security-poll-suffix=
receiver-threads=1
distributor-threads=1
`

const stop = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

const deafProxy = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const server = createServer((incoming, outgoing) => {
          const { method, url: path, headers } = incoming
          const forwarded = request(
            { host: "127.0.0.1", port, method, path, headers },
            (answer: IncomingMessage) => {
              if (method === "GET") {
                outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
                answer.pipe(outgoing)
              } else {
                answer.resume().once("end", () => incoming.socket.destroy())
              }
            }
          )
          incoming.pipe(forwarded)
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    ),
    portOf
  )
