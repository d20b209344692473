/** Where rows are: one file in the home, or a Postgres database. */
import { join } from "node:path"
import { Effect, Layer, type Redacted } from "effect"
import * as Sqlite from "./Sqlite.ts"

/** Postgres is loaded when it is used, so that others do not pay for it. */
const postgres = Effect.promise(() => import("./Postgres.ts"))
const postgresLock = Effect.promise(() => import("./DatabaseLock.ts"))

/** `url` null: the home's own file. */
export const layer = (home: string, url: Redacted.Redacted | null) =>
  url === null
    ? Sqlite.layer(join(home, "deploy-mcp.db"))
    : Layer.unwrap(Effect.map(postgres, (module) => module.layer(url)))

/** Keeps other control processes from the rows; a file is kept by the lock on its home. */
export const layerLock = (url: Redacted.Redacted | null) =>
  url === null ? Layer.empty : Layer.unwrap(Effect.map(postgresLock, ({ layer }) => layer(url)))
