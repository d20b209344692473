import * as DatabaseConformance from "@deploy-mcp/domain/conformance/DatabaseConformance"
import { Database } from "@deploy-mcp/domain/Database"
import { OwnerId, ResourceId } from "@deploy-mcp/domain/model/Ids"
import type { Resource } from "@deploy-mcp/domain/model/Resource"
import { assert, it, layer as withLayer } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { DatabasePostgres } from "./DatabasePostgres.ts"
import {
  asSuperuser,
  at,
  host,
  layer,
  observe,
  openSession,
  PostgresWorld,
  query
} from "./DatabasePostgres.world.ts"
import { hasPostgres } from "./PostgresServer.ts"

const wrong = "a-wrong-password-that-is-a-secret-too"
const withPassword = (url: string) => {
  const changed = new URL(url)
  changed.password = wrong
  return changed.href
}

const conformance = (name: string, as: "superuser" | "operator") =>
  DatabaseConformance.suite(
    name,
    at(({ admin }) => admin),
    {
      world: layer(as),
      kind: "postgres",
      query,
      observe,
      deaf: at(({ deaf }) => deaf),
      broken: { layer: at(({ admin }) => withPassword(admin)), secrets: [wrong] }
    }
  )

const resourceOf = (label: string): Resource => ({
  id: ResourceId.make(`res_${label.padEnd(20, "0")}`),
  owner: OwnerId.make(`own_${"tests".padEnd(20, "0")}`),
  kind: "postgres"
})
const ensure = (resource: Resource) => Database.use((database) => database.ensure(resource))
const drop = (resource: Resource) => Database.use((database) => database.drop(resource))
const ask = (resource: Resource, statement: string) =>
  Database.use((database) => database.url(resource)).pipe(
    Effect.flatMap((url) => query(url, statement))
  )
const isRefused = <A, E, R>(effect: Effect.Effect<A, E, R>, why: string) =>
  Effect.map(Effect.exit(effect), (exit) => assert.isTrue(Exit.isFailure(exit), why))

const ownTests = () =>
  withLayer(
    Layer.provideMerge(
      at(({ admin }) => admin),
      layer("superuser")
    ),
    {
      excludeTestServices: true
    }
  )("postgres", (it) => {
    it.effect.each([
      ["a role without a database", (id: string) => [`CREATE ROLE ${id} NOLOGIN`]],
      [
        "a database that nobody may open",
        (id: string) => [
          `CREATE ROLE ${id} LOGIN`,
          `CREATE DATABASE ${id} OWNER ${id} ALLOW_CONNECTIONS false`
        ]
      ],
      [
        "a database that everybody may open",
        (id: string) => [`CREATE DATABASE ${id}`, `CREATE ROLE ${id} PASSWORD 'theirs'`]
      ],
      [
        "a role that may do everything",
        (id: string) => [
          `CREATE ROLE ${id} SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS LOGIN`
        ]
      ]
    ] as const)("mends %s", ([name, statements]) => {
      const resource = resourceOf(name.replaceAll(" ", "").slice(0, 20))
      return Effect.gen(function* () {
        for (const statement of statements(resource.id)) yield* asSuperuser(statement)
        yield* ensure(resource)
        assert.sameMembers(yield* observe(resource), ["database", "password", "role"])
        yield* ask(resource, "CREATE TABLE things (id int)")
        const open = yield* asSuperuser(`SELECT 1 FROM pg_database
          WHERE datname = '${resource.id}' AND has_database_privilege('public', oid, 'CONNECT')`)
        assert.deepEqual(open, [])
        const able = yield* asSuperuser(`SELECT 1 FROM pg_roles WHERE rolname = '${resource.id}'
          AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)`)
        assert.deepEqual(able, [])
      })
    })

    it.effect("makes a password work again that somebody changed by hand", () => {
      const resource = resourceOf("changed")
      return Effect.gen(function* () {
        yield* ensure(resource)
        yield* asSuperuser(`ALTER ROLE ${resource.id} NOLOGIN PASSWORD 'theirs'`)
        yield* isRefused(ask(resource, "SELECT 1"), "changed by hand")
        yield* ensure(resource)
        assert.lengthOf(yield* ask(resource, "SELECT 1"), 1)
      })
    })

    it.effect("gives a login that can do nothing on the server", () => {
      const resource = resourceOf("powerless")
      return Effect.gen(function* () {
        yield* ensure(resource)
        for (const statement of [
          "CREATE ROLE another",
          "CREATE DATABASE another",
          "SELECT pg_read_file('/etc/passwd')",
          "COPY (SELECT 1) TO PROGRAM 'true'",
          "SELECT rolpassword FROM pg_authid"
        ]) {
          yield* isRefused(ask(resource, statement), statement)
        }
        const url = yield* Database.use((database) => database.url(resource))
        for (const other of ["postgres", "template1"]) {
          const elsewhere = new URL(Redacted.value(url))
          elsewhere.pathname = `/${other}`
          yield* isRefused(query(Redacted.make(elsewhere.href), "SELECT 1"), other)
        }
      })
    })

    it.effect("has no more connections for a resource than its limit", () => {
      const resource = resourceOf("limited")
      return Effect.gen(function* () {
        yield* ensure(resource)
        const url = yield* Database.use((database) => database.url(resource))
        for (let open = 0; open < 3; open++) yield* openSession(url)
        yield* isRefused(query(url, "SELECT 1"), "the fourth connection")
      }).pipe(Effect.scoped)
    })

    it.effect("ends the sessions of a database that is dropped", () => {
      const resource = resourceOf("busy")
      return Effect.gen(function* () {
        yield* ensure(resource)
        const session = yield* openSession(
          yield* Database.use((database) => database.url(resource))
        )
        yield* session.unsafe("CREATE TABLE things (id int)")
        yield* drop(resource)
        yield* isRefused(session.unsafe("SELECT 1"), "its session goes on")
        assert.deepEqual(yield* observe(resource), [])
      }).pipe(Effect.scoped)
    })

    it.effect("refuses a server where everybody may open another database, and names it", () => {
      const resource = resourceOf("exposed")
      return Effect.gen(function* () {
        yield* asSuperuser("CREATE DATABASE billing")
        const error = yield* Effect.flip(ensure(resource))
        assert.include(JSON.stringify(error.reason), "billing")
        assert.deepEqual(yield* observe(resource), [])
        yield* asSuperuser("REVOKE CONNECT ON DATABASE billing FROM PUBLIC")
        yield* ensure(resource)
      }).pipe(Effect.ensuring(Effect.orDie(asSuperuser("DROP DATABASE IF EXISTS billing"))))
    })

    it.effect("leaves no password in the server's log, even when it logs every statement", () => {
      const resource = resourceOf("logged")
      return Effect.gen(function* () {
        const { log } = yield* PostgresWorld
        const passwords: Array<string> = []
        for (const change of ["ensure", "rotate", "ensure"] as const) {
          yield* Database.use((database) => database[change](resource))
          const url = yield* Database.use((database) => database.url(resource))
          passwords.push(new URL(Redacted.value(url)).password)
        }
        yield* asSuperuser("SELECT 'the log has come this far'")
        while (!log().includes("the log has come this far")) yield* Effect.yieldNow
        assert.include(log(), resource.id)
        for (const password of passwords) assert.notInclude(log(), password)
      })
    })

    it.effect("tells services the address that they reach it at, and how", () => {
      const resource = resourceOf("address")
      return Effect.gen(function* () {
        const { admin } = yield* PostgresWorld
        const provider = DatabasePostgres.make({
          url: Redacted.make(`${admin}?sslmode=prefer&application_name=ours`),
          address: Option.some("db.internal:6432"),
          connections: 3
        }).pipe(Layer.provide(host))
        const [ref, url] = yield* Database.use((database) =>
          Effect.all([database.ensure(resource), database.url(resource)])
        ).pipe(Effect.provide(provider, { local: true }))
        assert.strictEqual(ref.address, `postgres://db.internal:6432/${resource.id}?sslmode=prefer`)
        const { username, host: at, pathname } = new URL(Redacted.value(url))
        assert.deepEqual(
          [username, at, pathname],
          [resource.id, "db.internal:6432", `/${resource.id}`]
        )
      })
    })
  })

if (hasPostgres) {
  conformance("postgres", "superuser")
  conformance("postgres under an operator without superuser", "operator")
  ownTests()
} else {
  it.skip("postgres is not installed here", () => {})
}
