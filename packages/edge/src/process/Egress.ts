/**
 * Lets services call the public internet, and what the operator allows besides. Rules come first, then
 * a test that they really refuse, and only then the ways are opened: whatever fails leaves services
 * without any way out.
 */
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import type { Resolver } from "./EgressRules.ts"
import { proveRules } from "./EgressSelfTest.ts"
import { removeTable, tablePrefix } from "./Forwarding.ts"
import { closeHostFirewall } from "./HostFirewall.ts"
import type { Machine } from "./Machine.ts"
import { type NameRelay, openNameRelay } from "./NameRelay.ts"
import {
  linkPrefix,
  makeNetwork,
  type Network,
  type NetworkTools,
  removeNetwork,
  removeRange
} from "./Network.ts"
import { writeSlotFiles } from "./SlotFiles.ts"
import { type StandingRules, standRules } from "./StandingRules.ts"

export interface Egress {
  readonly open: boolean
  /** What services can and can't call, for people. */
  readonly notes: ReadonlyArray<string>
  readonly close: () => Promise<void>
}

export interface EgressTools extends NetworkTools {
  readonly nft: string
}

export const openEgress = async (
  machine: Machine,
  tools: EgressTools,
  policy: EgressPolicy
): Promise<Egress> => {
  const table = tableOf(machine.homeId)
  const stand = (resolver: Resolver | null, probeLink: string | null) =>
    standRules(tools, {
      table,
      linkPrefix: linkPrefix(machine.homeId),
      policy,
      resolver,
      probeLink
    })
  let network: Network | null = null
  let relay: NameRelay | null = null
  let rules: StandingRules | null = null
  const close = async () => {
    relay?.close()
    await rules?.close()
    if (network) await removeNetwork(tools, network)
    await removeRange(tools)
  }
  try {
    if (policy.reach === "none" && policy.allow.length === 0) {
      rules = await stand(null, null)
      return { open: false, notes: notesOf(policy), close }
    }
    // Joined to the host like a slot: its host's end answers for names, its other end is for the test.
    network = await makeNetwork(tools, machine.homeId, null)
    const { hostAddress, link } = network
    let resolver: Resolver | null = null
    if (policy.reach === "public") {
      relay = await openNameRelay({ address: hostAddress, resolverFile: "/etc/resolv.conf" })
      resolver = { address: hostAddress, udpPort: relay.udpPort, tcpPort: relay.tcpPort }
    }
    rules = await stand(resolver, link)
    const proof = await proveRules({ tools, network, table, policy, resolver })
    await rules.open()
    await writeSlotFiles(machine.files, policy, resolver)
    const lacking = rules.hasWay ? [] : ["This host has no way to the internet itself now."]
    return { open: true, notes: [...notesOf(policy), ...proof.notes, ...lacking], close }
  } catch (error) {
    await close()
    await writeSlotFiles(machine.files)
    const words = error instanceof Error ? error.message : String(error)
    return { open: false, notes: [`Processes can't call out: ${words}.`], close: async () => {} }
  }
}

/** Removes what an edge of this home set up on the host; the absent is fine. */
export const removeEgress = async (tools: EgressTools, homeId: string): Promise<void> => {
  const table = tableOf(homeId)
  await closeHostFirewall(table)
  await removeTable(tools, table)
}

export const tableOf = (homeId: string): string => `${tablePrefix}${homeId}`

const notesOf = ({ allow, reach }: EgressPolicy): ReadonlyArray<string> => [
  reach === "public"
    ? "Processes may call the public internet over IPv4: no private or metadata address, not this host, not each other."
    : "Processes can't call the internet (DEPLOY_MCP_EGRESS is none).",
  ...allowNotes(allow)
]

export const allowNotes = (allow: EgressPolicy["allow"]): ReadonlyArray<string> => {
  const places = allow.map(({ address, bits, port }) => {
    const range = bits === 32 ? address : `${address}/${bits}`
    return port === null ? range : `${range}:${port}`
  })
  return places.length === 0
    ? []
    : [`Processes may also call ${places.join(", ")} (DEPLOY_MCP_EGRESS_ALLOW).`]
}
