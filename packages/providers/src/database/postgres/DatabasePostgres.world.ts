/** The real server for tests, how a service sees it, and a wire that loses the answers to changes. */
import { connect, createServer, type Socket } from "node:net"
import type { Resource } from "@deploy-mcp/domain/model/Resource"
import { Host } from "@deploy-mcp/domain/Provider"
import * as PgClient from "@effect/sql-pg/PgClient"
import { Context, Effect, Layer, Option, Redacted } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { DatabasePostgres } from "./DatabasePostgres.ts"
import { startPostgres } from "./PostgresServer.ts"

export class PostgresWorld extends Context.Service<
  PostgresWorld,
  {
    /** The operator's role: the superuser, or one that may make databases and roles. */
    readonly admin: string
    readonly superuser: string
    /** Where every change arrives and its answer does not. */
    readonly deaf: string
    readonly log: () => string
  }
>()("@deploy-mcp/providers/test/PostgresWorld") {}

const operator = { role: "operator", password: "the-operators-own-password" }

export const layer = (as: "superuser" | "operator") =>
  Layer.effect(
    PostgresWorld,
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => startPostgres(["log_statement=all"])),
        (running) => Effect.promise(() => running.stop())
      )
      const { role, password } = operator
      const admin = new URL(server.url())
      if (as === "operator") {
        server.execute(`CREATE ROLE ${role} LOGIN CREATEDB CREATEROLE PASSWORD '${password}'`)
        server.execute(`CREATE DATABASE ${role} OWNER ${role}`)
        server.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
        Object.assign(admin, { username: role, password, pathname: `/${role}` })
      }
      const deaf = new URL(admin)
      deaf.port = `${yield* losesAnswers(Number(admin.port))}`
      return { admin: admin.href, superuser: server.url(), deaf: deaf.href, log: server.log }
    })
  )

/** The provider with the URL that is chosen. */
export const at = (choose: (world: typeof PostgresWorld.Service) => string) =>
  Layer.unwrap(
    PostgresWorld.use((world) =>
      Effect.succeed(
        DatabasePostgres.make({
          url: Redacted.make(choose(world)),
          address: Option.none(),
          connections: 3
        })
      )
    )
  ).pipe(Layer.provide(host))

export const host = Layer.succeed(Host, {
  directory: "",
  artifacts: "",
  node: { bin: "", version: "" }
})

/** A connection that stays open until its scope ends. */
export const openSession = (url: Redacted.Redacted) =>
  Effect.provide(PgClient.makeClient({ url }), Reactivity.layer)

export const query = (url: Redacted.Redacted, statement: string) =>
  openSession(url).pipe(
    Effect.flatMap((sql) => sql.unsafe<Readonly<Record<string, unknown>>>(statement)),
    Effect.scoped
  )

export const asSuperuser = (statement: string) =>
  PostgresWorld.use(({ superuser }) => query(Redacted.make(superuser), statement))

export const observe = ({ id }: Resource) =>
  asSuperuser(`
    SELECT 'database' AS held FROM pg_database WHERE datname = '${id}'
    UNION SELECT 'role' FROM pg_roles WHERE rolname = '${id}'
    UNION SELECT 'password' FROM pg_roles
      WHERE rolname = '${id}' AND rolcanlogin AND NOT rolsuper AND rolconnlimit = 3`).pipe(
    Effect.map((rows) => rows.map(({ held }) => String(held)))
  )

/** The last transaction of a change writes a login. That it has ended is lost, and so is the connection. */
const lastTransaction = /(INSERT INTO|UPDATE|DELETE FROM) deploy_mcp\.logins/u
/** ReadyForQuery, and no transaction is open. */
const idle = Buffer.from("Z\0\0\0\u0005I")

const losesAnswers = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly port: number; readonly close: Effect.Effect<void> }>((resume) => {
        const sockets = new Set<Socket>()
        const server = createServer((near) => {
          const far = connect(port, "127.0.0.1")
          let isLast = false
          for (const socket of [near, far]) {
            sockets.add(socket)
            socket.on("error", () => socket.destroy())
            socket.on("close", () => [near, far].map((each) => each.destroy()))
          }
          near.on("data", (bytes) => {
            isLast ||= lastTransaction.test(bytes.toString("latin1"))
            far.write(bytes)
          })
          far.on("data", (bytes: Buffer) => {
            if (isLast && bytes.includes(idle)) near.destroy()
            else near.write(bytes)
          })
        }).listen(0, "127.0.0.1", () => {
          const address = server.address()
          const close = Effect.callback<void>((done) => {
            server.close(() => done(Effect.void))
            for (const socket of sockets) socket.destroy()
          })
          const at = typeof address === "object" && address !== null ? address.port : 0
          resume(Effect.succeed({ port: at, close }))
        })
      }),
      ({ close }) => close
    ),
    ({ port: at }) => at
  )
