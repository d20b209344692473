/**
 * One control process for each home, or several that agree by their database who acts. A transaction
 * on a file of its own is refused across containers and network namespaces and is freed by the kernel
 * when the holder is killed.
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

/**
 * Holds the home for as long as the layer lives. `shared` suffers others that share it too, and
 * refuses and is refused by one that wants it for itself.
 */
export const layer = (
  home: string,
  { shared = false }: { readonly shared?: boolean } = {}
): Layer.Layer<HomeLock, HomeHeld> =>
  Layer.effect(
    HomeLock,
    Effect.acquireRelease(
      Effect.try({
        try: () => acquire(home, shared),
        catch: () => new HomeHeld({ home, pid: holder(home) })
      }),
      (db) => Effect.sync(() => db.close())
    ).pipe(Effect.as({ home }))
  )

const acquire = (home: string, shared: boolean): DatabaseSync => {
  mkdirSync(join(home, "run"), { recursive: true, mode: 0o700 })
  const db = new DatabaseSync(join(home, "run", "lock.db"))
  try {
    db.exec("PRAGMA busy_timeout=0; PRAGMA journal_mode=DELETE")
    // A transaction that has read something keeps the file from being locked for writing.
    db.exec(shared ? "BEGIN; SELECT count(*) FROM sqlite_schema" : "BEGIN EXCLUSIVE")
  } catch (cause) {
    db.close()
    throw cause
  }
  return db
}

/** Written by the process that acts for the home, for people and scripts. */
export const layerPid = (home: string) =>
  Layer.effectDiscard(
    Effect.acquireRelease(
      Effect.sync(() => writeFileSync(pidFile(home), `${process.pid}\n`, { mode: 0o600 })),
      () =>
        Effect.sync(() => {
          if (holder(home) === process.pid) rmSync(pidFile(home), { force: true })
        })
    )
  )

const pidFile = (home: string) => join(home, "run", "control.pid")

const holder = (home: string): number | null => {
  try {
    const pid = Number.parseInt(readFileSync(pidFile(home), "utf8"), 10)
    return Number.isInteger(pid) ? pid : null
  } catch {
    return null
  }
}
