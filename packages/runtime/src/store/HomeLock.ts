/**
 * One control process for each home. An exclusive transaction on a file of its own is refused across
 * containers and network namespaces and is freed by the kernel when the holder is killed.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Context, Effect, Layer, Schema } from "effect"

/** Another process holds this home. */
export class HomeHeld extends Schema.TaggedError<HomeHeld>()("HomeHeld", {
  home: Schema.String,
  /** Process id of the holder, when it wrote it. */
  pid: Schema.NullOr(Schema.Int)
}) {
  override get message() {
    const holder = this.pid === null ? "another process" : `process ${this.pid}`
    return `${this.home} is held by ${holder}. Stop it first (kill ${this.pid ?? "<pid>"}), or start with another DEPLOY_MCP_HOME.`
  }
}

export class HomeLock extends Context.Service<HomeLock, { readonly home: string }>()(
  "@deploy-mcp/runtime/HomeLock"
) {}

/** Holds the home for as long as the layer lives. */
export const layer = (home: string): Layer.Layer<HomeLock, HomeHeld> =>
  Layer.effect(
    HomeLock,
    Effect.acquireRelease(
      Effect.try({
        try: () => acquire(home),
        catch: () => new HomeHeld({ home, pid: holder(home) })
      }),
      (db) => Effect.sync(() => release(home, db))
    ).pipe(Effect.as({ home }))
  )

const acquire = (home: string): DatabaseSync => {
  mkdirSync(join(home, "run"), { recursive: true, mode: 0o700 })
  const db = new DatabaseSync(join(home, "run", "lock.db"))
  try {
    db.exec("PRAGMA busy_timeout=0; PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE")
  } catch (cause) {
    db.close()
    throw cause
  }
  writeFileSync(join(home, "run", "control.pid"), `${process.pid}\n`, { mode: 0o600 })
  return db
}

const release = (home: string, db: DatabaseSync) => {
  rmSync(join(home, "run", "control.pid"), { force: true })
  db.close()
}

const holder = (home: string): number | null => {
  try {
    const pid = Number.parseInt(readFileSync(join(home, "run", "control.pid"), "utf8"), 10)
    return Number.isInteger(pid) ? pid : null
  } catch {
    return null
  }
}
