/** The statements that make and remove a role and its database. Not exported. */
import { DatabaseError } from "@deploy-mcp/domain/Database"
import { Failure } from "@deploy-mcp/domain/Failure"
import { Rejected, Unavailable } from "@deploy-mcp/domain/Fault"
import { Effect, type Redacted, type Scope } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** One connection; it sends one statement after the other. */
export type Session = SqlClient

/** A statement that takes longer has failed: the server ends it, so that nothing is left unknown. */
const patience = { statement_timeout: "2min", idle_in_transaction_session_timeout: "2min" }

/** Opens a connection as the operator's role. The driver is loaded when it is used. */
export const connect = (
  url: Redacted.Redacted
): Effect.Effect<Session, DatabaseError, Scope.Scope> =>
  Effect.gen(function* () {
    const PgClient = yield* Effect.promise(() => import("@effect/sql-pg/PgClient"))
    const sql = yield* PgClient.makeClient({
      url,
      applicationName: "deploy-mcp",
      startupParameters: patience,
      connectTimeout: "10 seconds",
      keepAlive: "10 seconds"
    })
    // Keeps passwords out of the server's log. Not every role may ask for it: see the README.
    yield* Effect.ignore(sql`SET log_parameter_max_length = 0`)
    yield* Effect.ignore(sql`SET log_parameter_max_length_on_error = 0`)
    return sql
  }).pipe(Effect.provide(Reactivity.layer), asDatabaseError)

/** Statements of other processes about the same name wait until the connection ends. */
export const lock = (sql: Session, name: string) =>
  asDatabaseError(
    Effect.asVoid(sql`SELECT pg_advisory_lock(hashtextextended(${`deploy-mcp ${name}`}, 0))`)
  )

/**
 * Makes the table of passwords, and takes from everybody the right to connect to the databases that a
 * server has from its beginning. `Rejected` when everybody may still connect to another one.
 */
export const prepare = (sql: Session) =>
  sql
    .withTransaction(
      Effect.gen(function* () {
        yield* sql`SELECT pg_advisory_xact_lock(hashtextextended('deploy-mcp', 0))`
        yield* sql`CREATE SCHEMA IF NOT EXISTS deploy_mcp`
        yield* sql`CREATE TABLE IF NOT EXISTS deploy_mcp.logins
          (name text PRIMARY KEY, password text NOT NULL)`
        yield* sql`REVOKE ALL ON SCHEMA deploy_mcp FROM PUBLIC`
        for (const { name, isOurs } of yield* openToAll(sql)) {
          if (isOurs) yield* sql`REVOKE ALL ON DATABASE ${sql(name)} FROM PUBLIC`
        }
        return yield* openToAll(sql)
      })
    )
    .pipe(
      asDatabaseError,
      Effect.flatMap((open) => (open.length === 0 ? Effect.void : exposed(open)))
    )

interface OpenDatabase {
  readonly name: string
  /** There from the server's beginning, or made for a resource or for us; and we may change it. */
  readonly isOurs: boolean
}

const openToAll = (sql: Session) => sql<OpenDatabase>`
  SELECT datname AS name,
    (datname IN ('postgres', 'template1', current_database()) OR datname ~ '^res_[0-9a-z]{20}$')
      AND pg_has_role(datdba, 'USAGE') AS "isOurs"
  FROM pg_database
  WHERE datallowconn AND has_database_privilege('public', oid, 'CONNECT')
  ORDER BY datname`

const exposed = (open: ReadonlyArray<OpenDatabase>) => {
  const names = open.map(({ name }) => JSON.stringify(name)).join(", ")
  return Effect.fail(
    new DatabaseError({
      reason: new Rejected({
        failure: Failure.of(
          "forbidden",
          `Every role of the Postgres server may connect to ${names}, so a new one could too.`,
          { next: `The operator runs REVOKE CONNECT ON DATABASE ${names} FROM PUBLIC there.` }
        )
      })
    })
  )
}

export const password = (sql: Session, name: string) =>
  Effect.gen(function* () {
    const [table] = yield* sql<{ there: boolean }>`
      SELECT to_regclass('deploy_mcp.logins') IS NOT NULL AS there`
    if (table?.there !== true) return null
    const [row] = yield* sql<{ password: string }>`
      SELECT password FROM deploy_mcp.logins WHERE name = ${name}`
    return row?.password ?? null
  }).pipe(asDatabaseError)

interface Role {
  readonly isSuperuser: boolean
  readonly createsDatabases: boolean
  readonly createsRoles: boolean
  readonly replicates: boolean
  readonly bypassesRowSecurity: boolean
}

/**
 * A login that may do nothing on the server. Attributes that are right are not named: some may be named
 * by a superuser alone, even to take them away.
 */
export const ensureRole = (sql: Session, name: string, verifier: string, connections: number) =>
  Effect.gen(function* () {
    const [role] = yield* sql<Role>`
      SELECT rolsuper AS "isSuperuser", rolcreatedb AS "createsDatabases",
        rolcreaterole AS "createsRoles", rolreplication AS "replicates",
        rolbypassrls AS "bypassesRowSecurity"
      FROM pg_roles WHERE rolname = ${name}`
    if (role === undefined) yield* sql`CREATE ROLE ${sql(name)} NOLOGIN`
    const excess = [
      role?.isSuperuser && "NOSUPERUSER",
      role?.createsDatabases && "NOCREATEDB",
      role?.createsRoles && "NOCREATEROLE",
      role?.replicates && "NOREPLICATION",
      role?.bypassesRowSecurity && "NOBYPASSRLS"
    ].filter((attribute) => typeof attribute === "string")
    const attributes = [
      ...excess,
      `LOGIN PASSWORD '${verifier}'`,
      `CONNECTION LIMIT ${connections}`,
      "VALID UNTIL 'infinity'"
    ]
    yield* sql`ALTER ROLE ${sql(name)} ${sql.literal(attributes.join(" "))}`
    // Only a member may make a database for it. A superuser is one of every role without being told.
    yield* sql`GRANT ${sql(name)} TO CURRENT_USER`
  }).pipe(asDatabaseError)

/** Nobody can connect to a database that is new; `open` ends that. */
export const ensureDatabase = (sql: Session, name: string) =>
  Effect.gen(function* () {
    const there = yield* sql`SELECT 1 FROM pg_database WHERE datname = ${name}`
    if (there.length === 0) {
      yield* sql`CREATE DATABASE ${sql(name)} OWNER ${sql(name)}
        TEMPLATE template0 ALLOW_CONNECTIONS false`
    }
    yield* sql`ALTER DATABASE ${sql(name)} OWNER TO ${sql(name)}`
    yield* sql`REVOKE ALL ON DATABASE ${sql(name)} FROM PUBLIC`
    yield* sql`GRANT ALL ON DATABASE ${sql(name)} TO ${sql(name)}`
  }).pipe(asDatabaseError)

/** Lets the role in and remembers its password: until then there is no such database for callers. */
export const open = (sql: Session, name: string, password: string) =>
  sql
    .withTransaction(
      Effect.gen(function* () {
        yield* sql`ALTER DATABASE ${sql(name)} ALLOW_CONNECTIONS true`
        yield* sql`INSERT INTO deploy_mcp.logins (name, password) VALUES (${name}, ${password})
          ON CONFLICT (name) DO UPDATE SET password = excluded.password`
      })
    )
    .pipe(asDatabaseError)

export const changePassword = (sql: Session, name: string, password: string, verifier: string) =>
  sql
    .withTransaction(
      Effect.gen(function* () {
        yield* sql`ALTER ROLE ${sql(name)} PASSWORD ${sql.literal(`'${verifier}'`)}`
        yield* sql`UPDATE deploy_mcp.logins SET password = ${password} WHERE name = ${name}`
      })
    )
    .pipe(asDatabaseError)

/** Ends the sessions that use the database. */
export const dropDatabase = (sql: Session, name: string) =>
  asDatabaseError(sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`)

export const dropRole = (sql: Session, name: string) =>
  Effect.gen(function* () {
    const [table] = yield* sql<{ there: boolean }>`
      SELECT to_regclass('deploy_mcp.logins') IS NOT NULL AS there`
    yield* sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`DROP ROLE IF EXISTS ${sql(name)}`
        if (table?.there === true) yield* sql`DELETE FROM deploy_mcp.logins WHERE name = ${name}`
      })
    )
  }).pipe(asDatabaseError)

/** What the driver says may hold statements and addresses, so it is not passed on. */
const asDatabaseError = <A, R>(effect: Effect.Effect<A, SqlError, R>) =>
  Effect.mapError(effect, ({ reason }) => {
    const detail = details[reason._tag] ?? `Postgres could not finish this (${reason._tag}).`
    return new DatabaseError({ reason: new Unavailable({ detail }) })
  })

const details: Readonly<Record<string, string>> = {
  AuthenticationError: "Postgres refuses the role or the password in the setting url.",
  AuthorizationError:
    "The role in the setting url needs CREATEDB, CREATEROLE and a database that it owns.",
  ConnectionError: "The Postgres server in the setting url does not answer."
}
