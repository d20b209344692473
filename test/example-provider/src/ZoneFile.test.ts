import * as DnsConformance from "@deploy-mcp/domain/conformance/DnsConformance"
import { ZoneFile } from "./ZoneFile.ts"
import { observe, world } from "./ZoneReader.ts"

DnsConformance.suite("zone-file", ZoneFile.make({}), { world, observe, unsupported: ["CAA"] })
