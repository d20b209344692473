/** Where rows are: one file in the home, or a Postgres database. */
import { join } from "node:path"
import { Effect, Layer, type Redacted } from "effect"
import * as Sqlite from "./Sqlite.ts"

/** Postgres is loaded when it is used, so that others do not pay for it. */
const postgres = Effect.promise(() => import("./Postgres.ts"))

/** `url` null: the home's own file. */
export const layer = (home: string, url: Redacted.Redacted | null) =>
  url === null
    ? Sqlite.layer(join(home, "deploy-mcp.db"))
    : Layer.unwrap(Effect.map(postgres, (module) => module.layer(url)))
