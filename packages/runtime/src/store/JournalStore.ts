/** What the workflow engine has written down, in its own tables: read here, and nowhere else. */
import { Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Rows from "./Rows.ts"

export class JournalStore extends Context.Service<JournalStore>()(
  "@deploy-mcp/runtime/JournalStore",
  {
    make: Effect.gen(function* () {
      const sql = yield* SqlClient
      return {
        /** Whether an execution was ever started and its journal is still there. */
        has: (workflow: string, execution: string) =>
          Rows.touched(sql`SELECT tag FROM cluster_messages
            WHERE entity_type = ${`Workflow/${workflow}`} AND entity_id = ${execution}
              AND tag = 'run' LIMIT 1`)
      }
    })
  }
) {
  static readonly layer = Layer.effect(JournalStore, JournalStore.make)
}
