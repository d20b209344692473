/** A database and a login role for each resource, on a Postgres server that the operator runs. */
import {
  Database,
  type DatabaseError,
  kindUnsupported,
  resourceMissing
} from "@deploy-mcp/domain/Database"
import type { Resource } from "@deploy-mcp/domain/model/Resource"
import { make } from "@deploy-mcp/domain/Provider"
import { Config, Effect, Layer, Option, Redacted, Schema, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import * as Api from "./PostgresApi.ts"
import { verifier } from "./Scram.ts"

const AdminUrl = Schema.Redacted(Schema.String).check(
  Schema.makeFilter((url) =>
    /^postgres(ql)?:\/\/[^/]+\/[^/?]+/u.test(Redacted.value(url)) &&
    URL.canParse(Redacted.value(url))
      ? undefined
      : "must look like postgres://role:password@host:5432/database"
  )
)

const config = Config.all({
  /** The operator's role, with CREATEDB and CREATEROLE, and a database that it owns; never shown. */
  url: Config.schema(AdminUrl, "url"),
  /** Where services reach the server, if not where we do: `host` or `host:port`, e.g. `10.0.0.5:5432`. */
  address: Config.option(Config.String("address")),
  /** How many connections each resource may have. */
  connections: Config.Int("connections").pipe(Config.withDefault(20))
})

const layer = (settings: Config.Success<typeof config>) =>
  Layer.effect(
    Database,
    Effect.map(SecureRandom.SecureRandom, (random) => {
      const base = serviceUrl(settings)

      const newPassword = Effect.map(random.randomBytes(24), (bytes) =>
        Buffer.from(bytes).toString("base64url")
      )
      const verifierOf = (password: string) =>
        Effect.map(random.randomBytes(16), (salt) => verifier(password, salt))

      /** A change that began runs to its end, and others about the same resource wait for it. */
      const change = <A>(
        resource: Resource,
        body: (sql: Api.Session) => Effect.Effect<A, DatabaseError, Scope.Scope>
      ) =>
        ours(resource).pipe(
          Effect.andThen(Api.connect(settings.url)),
          Effect.tap((sql) => Api.lock(sql, resource.id)),
          Effect.flatMap(body),
          Effect.scoped,
          Effect.uninterruptible
        )

      return {
        ensure: (resource) =>
          change(resource, (sql) =>
            Effect.gen(function* () {
              yield* Api.prepare(sql)
              const password = (yield* Api.password(sql, resource.id)) ?? (yield* newPassword)
              const secret = yield* verifierOf(password)
              yield* Api.ensureRole(sql, resource.id, secret, settings.connections)
              yield* Api.ensureDatabase(sql, resource.id)
              yield* Api.open(sql, resource.id, password)
              return {
                resource: resource.id,
                kind: resource.kind,
                address: addressOf(base, resource)
              }
            })
          ),
        url: (resource) =>
          ours(resource).pipe(
            Effect.andThen(Api.connect(settings.url)),
            Effect.flatMap((sql) => Api.password(sql, resource.id)),
            Effect.scoped,
            Effect.flatMap((password) =>
              password === null
                ? Effect.fail(resourceMissing(resource))
                : Effect.succeed(urlOf(base, resource, password))
            )
          ),
        rotate: (resource) =>
          change(resource, (sql) =>
            Effect.gen(function* () {
              if ((yield* Api.password(sql, resource.id)) === null) {
                return yield* resourceMissing(resource)
              }
              const password = yield* newPassword
              yield* Api.changePassword(sql, resource.id, password, yield* verifierOf(password))
            })
          ),
        drop: (resource) =>
          change(resource, (sql) =>
            Effect.andThen(Api.dropDatabase(sql, resource.id), Api.dropRole(sql, resource.id))
          )
      }
    })
  ).pipe(Layer.provide(SecureRandom.layerWebCrypto))

const ours = (resource: Resource) =>
  resource.kind === "postgres" ? Effect.void : Effect.fail(kindUnsupported(resource))

/** Only what services need of the operator's URL: host, port and whether to use TLS. */
const serviceUrl = ({ url, address }: Config.Success<typeof config>): URL => {
  const given = new URL(Redacted.value(url))
  const base = new URL(`postgres://${Option.getOrElse(address, () => given.host)}`)
  const mode = given.searchParams.get("sslmode")
  if (mode !== null) base.searchParams.set("sslmode", mode)
  return base
}

const addressOf = (base: URL, { id }: Resource): string => {
  const url = new URL(base)
  url.pathname = `/${id}`
  return url.href
}

const urlOf = (base: URL, resource: Resource, password: string) => {
  const url = new URL(addressOf(base, resource))
  url.username = resource.id
  url.password = password
  return Redacted.make(url.href)
}

export const DatabasePostgres = make({
  id: "postgres",
  service: Database,
  summary: "A database and a role for each resource on your Postgres server.",
  config,
  make: layer
})
