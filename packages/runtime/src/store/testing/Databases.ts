/** Runs a file's tests on SQLite, and on Postgres where it is installed. */

import {
  hasPostgres,
  type PostgresServer,
  startPostgres
} from "@deploy-mcp/providers/database/postgres/PostgresServer"
import { afterAll, beforeAll, describe, it } from "vitest"

/** Gives each test an empty database; undefined stands for the home's own SQLite. */
export type FreshDatabase = () => string | undefined

export const onEachDatabase = (tests: (fresh: FreshDatabase) => void) => {
  describe("on SQLite", () => tests(() => undefined))
  onPostgres(tests)
}

/** Those of Postgres alone: its server runs from before the first test until after the last one. */
export const onPostgres = (tests: (fresh: () => string, server: () => PostgresServer) => void) =>
  describe("on Postgres", () => {
    if (hasPostgres) {
      const server = running()
      tests(() => server().database(), server)
    } else it.skip("is not installed here")
  })

/** For a file whose tests each run on one database after the other. */
export const eachDatabase = (): ReadonlyArray<FreshDatabase> => {
  const sqlite = () => undefined
  if (hasPostgres) return [sqlite, postgres()]
  it.skip("on Postgres is not installed here")
  return [sqlite]
}

const postgres = () => {
  const server = running()
  return () => server().database()
}

const running = () => {
  let server: PostgresServer | undefined
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server?.stop())
  return () => {
    if (server === undefined) throw new Error("Postgres was not started")
    return server
  }
}
