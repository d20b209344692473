/** `deploy-mcp migrate`: brings the tables up to date ahead of a start, and says what it did. */
import { Effect, Layer, type Redacted } from "effect"
import * as Database from "./store/Database.ts"
import { nameOf } from "./store/DatabaseUrl.ts"
import * as HomeLock from "./store/HomeLock.ts"
import * as Migrations from "./store/Migrations.ts"

export interface MigrateOptions {
  readonly home: string
  readonly databaseUrl: Redacted.Redacted | null
  /** One JSON document instead of a sentence. */
  readonly json: boolean
}

export const migrate = Effect.fn("migrate")(function* (options: MigrateOptions) {
  const { home, databaseUrl, json } = options
  const applied = yield* Migrations.run.pipe(Effect.provide(databaseOf(options)))
  const database = databaseUrl === null ? `SQLite file in ${home}` : nameOf(databaseUrl)
  const sentence =
    applied.length === 0
      ? `The ${database} is up to date.`
      : `The ${database} is up to date now: ${applied.join(", ")}.`
  yield* Effect.sync(() => console.log(json ? JSON.stringify({ database, applied }) : sentence))
})

/** A file has one process at a time; Postgres makes several migrations wait for each other. */
const databaseOf = ({ home, databaseUrl }: MigrateOptions) =>
  databaseUrl === null
    ? Database.layer(home, null).pipe(Layer.provideMerge(HomeLock.layer(home)))
    : Database.layer(home, databaseUrl)
