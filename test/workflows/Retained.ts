/** What tests of retention share. */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schedule } from "effect"
import { SqlClient } from "effect/sql/SqlClient"

/** In memory where the machine has it, because there are many. */
const root = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()

export const homeOf = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(root, "deploy-mcp-retention-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Until every workflow that does not wait for a time has ended. */
export const untilQuiet = SqlClient.use((sql) =>
  sql<{ n: number }>`SELECT COUNT(*) AS n FROM cluster_messages
    WHERE NOT processed AND deliver_at IS NULL`.pipe(
    Effect.repeat({
      schedule: Schedule.spaced("10 millis"),
      until: ([row]) => Number(row?.n) === 0
    }),
    Effect.timeout("20 seconds"),
    Effect.andThen(Effect.sleep("30 millis"))
  )
)
