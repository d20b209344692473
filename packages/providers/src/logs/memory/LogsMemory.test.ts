import * as LogsConformance from "@deploy-mcp/domain/conformance/LogsConformance"
import * as LogsMemory from "./LogsMemory.ts"

LogsConformance.suite("memory", LogsMemory.layer, {
  world: LogsMemory.LogsWorld.layer,
  maxBytes: LogsMemory.maxCharacters
})
