/**
 * A network of its own for each process: a namespace joined to the host by one pair of virtual
 * links, a /31 each. The edge reaches the process by the namespace's address; what the process itself
 * may call, EgressRules says.
 */
import { createHash, randomBytes } from "node:crypto"
import { readdir, writeFile } from "node:fs/promises"
import { slotRange } from "@deploy-mcp/domain/node/EgressPolicy"
import { forward } from "./Forwarding.ts"
import { mustRun, runProgram } from "./Program.ts"

export interface Network {
  readonly namespace: string
  readonly link: string
  readonly hostAddress: string
  /** Where the process is reached. */
  readonly address: string
}

export interface NetworkTools {
  readonly ip: string
  readonly nsenter: string
  /** Whether links lead on to the internet. Only where rules stand that judge every packet. */
  readonly forwards: boolean
}

/** Names tell whose it is, so that a later edge of the same home finds what was left. */
export const namespacePrefix = (homeId: string): string => `deploy-mcp-${homeId}-`

/** Names of links have 15 characters at most, and are never used twice: deletion lags behind. */
export const linkPrefix = (homeId: string): string => `dm${digest(homeId).toString("hex", 0, 3)}-`

/** Links of a group are removed in the time that one of them takes: the kernel waits for each it removes. */
export const linkGroup = (homeId: string): number => 1 + (digest(homeId).readUInt32BE(8) >>> 1)

/**
 * A namespace that only others are made in: a namespace takes the size of its table of connections
 * from the one it is made in, and a table as large as the host's takes 3 ms to read instead of 0.1.
 */
export const makeNursery = async (tools: NetworkTools, homeId: string): Promise<string> => {
  const name = `${namespacePrefix(homeId)}nursery-${randomBytes(3).toString("hex")}`
  await mustRun(tools.ip, ["netns", "add", name])
  const setting = "/proc/sys/net/ipv4/tcp_child_ehash_entries"
  // Older kernels don't have it: then reading is slower, nothing else.
  await runProgram(tools.nsenter, [
    `--net=/run/netns/${name}`,
    "/bin/sh",
    "-c",
    'echo 256 >"$0"',
    setting
  ])
  return name
}

export const makeNetwork = async (
  tools: NetworkTools,
  homeId: string,
  nursery: string | null
): Promise<Network> => {
  const id = randomBytes(3).toString("hex")
  const namespace = `${namespacePrefix(homeId)}${id}`
  const link = `${linkPrefix(homeId)}${id}`
  const pair = freePair(homeId, await takenAddresses(tools))
  const network = { namespace, link, ...pair }
  try {
    if (nursery === null) await mustRun(tools.ip, ["netns", "add", namespace])
    else {
      const enter = `--net=/run/netns/${nursery}`
      await mustRun(tools.nsenter, [enter, tools.ip, "netns", "add", namespace])
    }
    await mustRun(tools.ip, ["-batch", "-"], linkCommands(network, linkGroup(homeId)))
    // The kernel gives two links the same address without a word, so look who else has it now.
    const holders = (await takenAddresses(tools)).filter((one) => one === pair.hostAddress)
    if (holders.length > 1) throw new Error(`${pair.hostAddress} was taken meanwhile`)
    // Nothing of ours speaks IPv6 on this link; without an address nobody can be asked there.
    await writeFile(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, "1").catch(() => {})
    if (tools.forwards) await forward(link)
    return network
  } catch (error) {
    await removeNetwork(tools, network)
    throw error
  }
}

/** Removing the absent succeeds. The link first: with its namespace alone it would go later. */
export const removeNetwork = async (tools: NetworkTools, network: Network): Promise<void> => {
  await runProgram(
    tools.ip,
    ["-force", "-batch", "-"],
    `link del ${network.link}\nnetns del ${network.namespace}\n`
  )
  given.delete(network.hostAddress)
}

/** Once no platform of this machine has a link any more. */
export const removeRange = async (tools: NetworkTools): Promise<void> => {
  const held = (await takenAddresses(tools)).some((one) => one.startsWith(`${slotNetwork}.`))
  if (!held) await runProgram(tools.ip, ["route", "del", ...range])
}

/** Removes every namespace and link of this home. */
export const removeAllNetworks = async (tools: NetworkTools, homeId: string): Promise<void> => {
  const namespaces = (await readdir("/run/netns").catch(() => [])).filter((name) =>
    name.startsWith(namespacePrefix(homeId))
  )
  const { stdout } = await runProgram(tools.ip, ["-o", "link", "show"])
  const links = [...stdout.matchAll(/^\d+: ([^:@]+)/gm)]
    .flatMap((found) => found[1] ?? [])
    .filter((name) => name.startsWith(linkPrefix(homeId)))
  if (namespaces.length + links.length === 0) return
  const commands = [
    `link del group ${linkGroup(homeId)}`,
    // What an edge of an earlier version made is in no group; the others are gone by now.
    ...links.map((name) => `link del ${name}`),
    ...namespaces.map((name) => `netns del ${name}`)
  ]
  await runProgram(tools.ip, ["-force", "-batch", "-"], `${commands.join("\n")}\n`)
  await removeRange(tools)
}

/** Addresses given out by this process whose links may not be up yet. */
const given = new Set<string>()

/** Two homes start looking in different places, and each looks at what exists. */
const freePair = (
  homeId: string,
  taken: ReadonlyArray<string>
): { readonly hostAddress: string; readonly address: string } => {
  const pairs = 32_768
  const start = digest(homeId).readUInt32BE(4) % pairs
  for (let step = 0; step < pairs; step++) {
    const low = ((start + step) % pairs) * 2
    const hostAddress = `${slotNetwork}.${low >> 8}.${low & 255}`
    if (given.has(hostAddress) || taken.includes(hostAddress)) continue
    given.add(hostAddress)
    return { hostAddress, address: `${slotNetwork}.${low >> 8}.${(low & 255) + 1}` }
  }
  throw new Error(`all addresses of ${slotRange.address}/${slotRange.bits} are taken`)
}

const slotNetwork = slotRange.address.split(".").slice(0, 2).join(".")

const takenAddresses = async (tools: NetworkTools): Promise<ReadonlyArray<string>> =>
  (await mustRun(tools.ip, ["-o", "-4", "address", "show"]))
    .split("\n")
    .flatMap((line) => /\binet ([\d.]+)/.exec(line)?.[1] ?? [])

/**
 * A process that has gone must not be looked for elsewhere: without this route a packet to its address
 * leaves by the host's way to the internet.
 */
const range = ["unreachable", `${slotRange.address}/${slotRange.bits}`]

const linkCommands = (network: Network, group: number): string =>
  [
    `route replace ${range.join(" ")}`,
    `link add ${network.link} group ${group} type veth peer name eth0 netns ${network.namespace}`,
    `link set ${network.link} addrgenmode none`,
    `address add ${network.hostAddress}/31 dev ${network.link}`,
    `link set ${network.link} up`,
    ""
  ].join("\n")

const digest = (homeId: string): Buffer => createHash("sha256").update(homeId).digest()
