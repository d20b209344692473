import * as DnsConformance from "@deploy-mcp/domain/conformance/DnsConformance"
import { Effect } from "effect"
import * as DnsMemory from "./DnsMemory.ts"

DnsConformance.suite("memory", DnsMemory.layer, {
  world: DnsMemory.DnsWorld.layer,
  observe: ({ name, type }) =>
    DnsMemory.DnsWorld.use((world) => Effect.sync(() => DnsMemory.answer(world, name, type)))
})
