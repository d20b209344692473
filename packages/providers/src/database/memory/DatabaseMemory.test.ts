import * as DatabaseConformance from "@deploy-mcp/domain/conformance/DatabaseConformance"
import { Effect } from "effect"
import * as DatabaseMemory from "./DatabaseMemory.ts"

DatabaseConformance.suite("memory", DatabaseMemory.layer, {
  world: DatabaseMemory.DatabaseWorld.layer,
  kind: "sqlite",
  query: DatabaseMemory.query,
  observe: ({ id }) =>
    DatabaseMemory.DatabaseWorld.use(({ databases }) =>
      Effect.sync(() => (databases.has(id) ? ["database"] : []))
    )
})
