/**
 * Lets services call the public internet, and what the operator allows besides. Rules come first, then
 * a test that they really refuse, and only then the ways are opened: whatever fails leaves services
 * without any way out.
 */
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import { type HostRules, hostRules, type Resolver } from "./EgressRules.ts"
import { proveRules } from "./EgressSelfTest.ts"
import { findGuarded, findUplinks, forward, removeTable, tablePrefix } from "./Forwarding.ts"
import { closeHostFirewall, openHostFirewall } from "./HostFirewall.ts"
import type { Machine } from "./Machine.ts"
import { type NameRelay, openNameRelay } from "./NameRelay.ts"
import {
  linkPrefix,
  makeNetwork,
  type Network,
  type NetworkTools,
  removeNetwork
} from "./Network.ts"
import { mustRun } from "./Program.ts"
import { writeSlotFiles } from "./SlotFiles.ts"

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
  const prefix = linkPrefix(machine.homeId)
  const load = (rules: Pick<HostRules, "resolver" | "probeLink" | "guarded">) =>
    mustRun(tools.nft, ["-f", "-"], hostRules({ table, linkPrefix: prefix, policy, ...rules }))
  let network: Network | null = null
  let relay: NameRelay | null = null
  const close = async () => {
    relay?.close()
    relay = null
    await removeEgress(tools, machine.homeId)
    if (network) await removeNetwork(tools, network)
    network = null
  }
  try {
    if (policy.reach === "none" && policy.allow.length === 0) {
      await load({ resolver: null, probeLink: null, guarded: [] })
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
    const uplinks = await findUplinks(tools, policy.allow)
    const guarded = await findGuarded(tools, uplinks)
    await load({ resolver, probeLink: link, guarded })
    await openHostFirewall({ table, linkPrefix: prefix, resolver: resolver && hostAddress })
    const proof = await proveRules({ tools, network, table, policy, resolver })
    for (const one of guarded) await forward(one)
    await writeSlotFiles(machine.files, policy, resolver)
    const lacking = uplinks.length > 0 ? [] : [noWay]
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

const noWay =
  "This host has no way to the internet now; start the edge again when it has one, for its processes too."

const notesOf = ({ allow, reach }: EgressPolicy): ReadonlyArray<string> => [
  reach === "public"
    ? "Processes may call the public internet over IPv4: no private or metadata address, not this host, not each other."
    : "Processes can't call the internet (DEPLOY_MCP_EGRESS is none).",
  ...(allow.length === 0
    ? []
    : [
        `Processes may also call ${allow
          .map(({ address, bits, port }) => {
            const range = bits === 32 ? address : `${address}/${bits}`
            return port === null ? range : `${range}:${port}`
          })
          .join(", ")} (DEPLOY_MCP_EGRESS_ALLOW).`
      ])
]
