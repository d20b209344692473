import * as VaultConformance from "@deploy-mcp/domain/conformance/VaultConformance"
import { Layer } from "effect"
import * as VaultMemory from "./VaultMemory.ts"

VaultConformance.suite("memory", VaultMemory.provider, {
  world: VaultMemory.VaultWorld.layer,
  stranger: Layer.provide(VaultMemory.provider, Layer.fresh(VaultMemory.VaultWorld.layer))
})
