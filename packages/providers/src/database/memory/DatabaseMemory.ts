/** SQLite databases in memory, for tests: their SQL is real, and nothing outlives the world. */
import { DatabaseSync } from "node:sqlite"
import { Database, kindUnsupported, resourceMissing } from "@deploy-mcp/domain/Database"
import type { ResourceId } from "@deploy-mcp/domain/model/Ids"
import type { Resource } from "@deploy-mcp/domain/model/Resource"
import { Context, Data, Effect, Layer, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"

interface DatabaseInMemory {
  password: string
  readonly sqlite: DatabaseSync
}

/** What tests look at; it outlives the provider as a real server does. */
export class DatabaseWorld extends Context.Service<
  DatabaseWorld,
  { readonly databases: Map<ResourceId, DatabaseInMemory> }
>()("@deploy-mcp/providers/DatabaseWorld") {
  static readonly layer = Layer.sync(DatabaseWorld, () => ({ databases: new Map() }))
}

export const layer: Layer.Layer<Database, never, DatabaseWorld> = Layer.effect(
  Database,
  Effect.gen(function* () {
    const { databases } = yield* DatabaseWorld
    const random = yield* SecureRandom.SecureRandom
    const newPassword = Effect.map(random.randomBytes(18), (bytes) =>
      Buffer.from(bytes).toString("base64url")
    )
    const ours = (resource: Resource) =>
      resource.kind === "sqlite" ? Effect.void : Effect.fail(kindUnsupported(resource))
    const existing = (resource: Resource) =>
      Effect.andThen(
        ours(resource),
        Effect.suspend(() => {
          const database = databases.get(resource.id)
          return database === undefined
            ? Effect.fail(resourceMissing(resource))
            : Effect.succeed(database)
        })
      )
    return {
      ensure: (resource) =>
        Effect.gen(function* () {
          yield* ours(resource)
          const password = yield* newPassword
          if (!databases.has(resource.id)) {
            databases.set(resource.id, { password, sqlite: new DatabaseSync(":memory:") })
          }
          const address = `sqlite://memory/${resource.id}`
          return { resource: resource.id, kind: resource.kind, address }
        }),
      url: (resource) =>
        Effect.map(existing(resource), ({ password }) =>
          Redacted.make(`sqlite://${resource.id}:${password}@memory/${resource.id}`)
        ),
      rotate: (resource) =>
        Effect.gen(function* () {
          const database = yield* existing(resource)
          database.password = yield* newPassword
        }),
      drop: (resource) =>
        Effect.andThen(
          ours(resource),
          Effect.sync(() => {
            databases.get(resource.id)?.sqlite.close()
            databases.delete(resource.id)
          })
        )
    }
  })
).pipe(Layer.provide(SecureRandom.layerWebCrypto))

export class QueryRefused extends Data.TaggedError("QueryRefused")<{ readonly why: string }> {}

/** Runs a statement as a service would, with nothing but the URL that it was given. */
export const query = (url: Redacted.Redacted, statement: string) =>
  Effect.gen(function* () {
    const { databases } = yield* DatabaseWorld
    const { username, password, pathname } = new URL(Redacted.value(url))
    const [id, database] = [...databases].find(([id]) => pathname === `/${id}`) ?? []
    if (database === undefined) return yield* new QueryRefused({ why: "no such database" })
    if (username !== id || password !== database.password) {
      return yield* new QueryRefused({ why: "access denied" })
    }
    return yield* Effect.try({
      try: () => database.sqlite.prepare(statement).all(),
      catch: (cause) => new QueryRefused({ why: String(cause) })
    })
  })
