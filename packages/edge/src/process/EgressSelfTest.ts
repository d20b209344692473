/**
 * Sends one packet of each kind that must be refused, and one that must pass, from where a service
 * would, and looks at the rules' own counters. No packet leaves the host: those that get past the rules
 * are counted and dropped right behind them.
 */
import { BlockList } from "node:net"
import { networkInterfaces } from "node:os"
import { setTimeout } from "node:timers/promises"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import { probePorts, type Resolver } from "./EgressRules.ts"
import type { Network, NetworkTools } from "./Network.ts"
import { mustRun } from "./Program.ts"

export interface Trial {
  readonly tools: NetworkTools & { readonly nft: string }
  /** Nothing else runs in it, and it has no fence of its own. */
  readonly network: Network
  readonly table: string
  readonly policy: EgressPolicy
  readonly resolver: Resolver | null
}

/** An error says what is wrong with the rules; notes say what services will miss. */
export const proveRules = async (
  trial: Trial
): Promise<{ readonly notes: ReadonlyArray<string> }> => {
  const { network, policy, resolver, tools } = trial
  await mustRun(tools.ip, ["-n", network.namespace, "-batch", "-"], ways(network))
  const refused = refusedTargets(network, policy)
  const packets = [
    ...refused.map((to) => ({ to, port: probePorts.refused, from: null })),
    { to: publicAddress, port: probePorts.refused, from: foreignAddress },
    { to: publicAddress, port: probePorts.public, from: null }
  ]
  const told = await mustRun(tools.nsenter, [
    ...[`--net=/run/netns/${network.namespace}`, "--", process.execPath, "-e", send],
    ...[JSON.stringify(packets), resolver?.address ?? ""]
  ])
  let counted = await countersOf(trial)
  for (let look = 1; counted.sent < packets.length && look < mostLooks; look++) {
    await setTimeout(25)
    counted = await countersOf(trial)
  }
  if (counted.sent !== packets.length) {
    throw new Error(`of ${packets.length} packets of the self-test ${counted.sent} were sent`)
  }
  if (counted.leaked > 0) {
    throw new Error(`the rules let ${counted.leaked} of ${packets.length - 1} refused packets pass`)
  }
  if (counted.passed !== (policy.reach === "public" ? 1 : 0)) {
    throw new Error("the rules don't do with public addresses what the settings say")
  }
  const deaf = resolver !== null && !told.includes("names")
  return {
    notes: deaf
      ? [
          "Processes find no names: a firewall of this host drops what its links (dm…) ask for port 53."
        ]
      : []
  }
}

/** On a busy machine the kernel delivers packets a moment after they were sent. */
const mostLooks = 80

/** Never reached by the self-test: the rules drop it on the way. */
const publicAddress = "8.8.8.8"
/** What the probe pretends to be when it lies about its address. */
const foreignAddress = "198.18.99.99"

const ways = ({ address, hostAddress }: Network): string =>
  [
    "link set lo up",
    `address add ${address}/31 dev eth0`,
    "link set eth0 up",
    `route add default via ${hostAddress}`,
    `address add ${foreignAddress}/32 dev lo`,
    ""
  ].join("\n")

/** One address of each class, the host's own ones, and one where another service could be. */
const refusedTargets = (network: Network, policy: EgressPolicy): ReadonlyArray<string> => {
  const own = ownAddresses("IPv4")
  const slot = ["10.231.0.1", "10.231.255.255"].filter((one) => one !== network.address)
  const classes = refusedSamples(policy, probePorts.refused)
  return [...new Set([...classes, ...own, network.hostAddress, ...slot])]
}

/** One IPv4 address of each class that is refused at that port. */
export const refusedSamples = ({ allow }: EgressPolicy, port: number): ReadonlyArray<string> => {
  const allowed = new BlockList()
  for (const range of allow) {
    if (range.port === null || range.port === port) {
      allowed.addSubnet(range.address, range.bits, "ipv4")
    }
  }
  return [
    ...["10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254"],
    ...["168.63.129.16", "192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1"],
    ...["198.18.0.1", "192.88.99.1", "224.0.0.1", "240.0.0.1"]
  ].filter((address) => !allowed.check(address, "ipv4"))
}

/** Where this host is reached from outside. */
export const ownAddresses = (family: "IPv4" | "IPv6"): ReadonlyArray<string> =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((one) => one.family === family && !one.internal)
    .map(({ address }) => address)

/** Runs in the probe's namespace: sends all packets, then asks whether the resolver can be reached. */
const send = `
const [packets, resolver] = process.argv.slice(1)
const all = JSON.parse(packets).map(({ to, port, from }) => new Promise((sent, failed) => {
  const socket = require("node:dgram").createSocket("udp4")
  socket.once("error", failed)
  socket.bind(0, from ?? undefined, () =>
    socket.send("?", port, to, (error) => (socket.close(), error ? failed(error) : sent())))
}))
Promise.all(all).then(() => {
  if (resolver === "") return
  const names = require("node:net").connect({ host: resolver, port: 53, timeout: 1000 })
  names.once("connect", () => (console.log("names"), names.destroy()))
  names.once("timeout", () => names.destroy())
  names.once("error", () => {})
})
`

const countersOf = async ({ table, tools }: Trial) => {
  const text = await mustRun(tools.nft, ["list", "counters", "table", "inet", table])
  const packets = (name: string): number =>
    Number(new RegExp(`counter ${name} \\{\\s*packets (\\d+)`).exec(text)?.[1] ?? Number.NaN)
  return {
    sent: packets("probe_sent"),
    leaked: packets("probe_leaked"),
    passed: packets("probe_passed")
  }
}
