import * as CertificatesConformance from "@deploy-mcp/domain/conformance/CertificatesConformance"
import { Effect } from "effect"
import { handshake } from "../Handshake.ts"
import * as CertificatesMemory from "./CertificatesMemory.ts"

CertificatesConformance.suite("memory", CertificatesMemory.layer, {
  world: CertificatesMemory.CertificatesWorld.layer,
  handshake,
  keys: CertificatesMemory.CertificatesWorld.use(({ leaves }) => Effect.succeed(leaves.size))
})
