/**
 * For tests: a host with its edges, joined to an internet of our own. Both are namespaces that lead
 * nowhere else, so that nothing leaves the machine whatever the rules let pass.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { copyForEverybody } from "./CopyForEverybody.ts"
import type { Order } from "./EgressScenario.ts"
import { findProgram, mustRun, runProgram, systemDirectories } from "./Program.ts"

export interface EgressWorld {
  /** For homes and the like; removed in the end. */
  readonly folder: string
  /** Starts the host's process, again after `crash`. */
  readonly boot: () => Promise<void>
  readonly tell: <A>(order: Order) => Promise<A>
  /** Runs a program in the host's network. */
  readonly host: (...command: ReadonlyArray<string>) => Promise<string>
  /** Runs a program in the network of the internet, which is the host's neighbour too. */
  readonly internet: (...command: ReadonlyArray<string>) => Promise<string>
  /** Ends the host's process with SIGKILL. */
  readonly crash: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface EgressWorldOptions {
  /** The host's process has no rights, and the host speaks IPv6 too. */
  readonly unprivileged?: boolean
}

/** Where our internet answers, each with listeners at port 80 and 81. */
export const publicAddress = "93.184.216.34"
export const publicSix = "2606:2800:220:1::1"
export const hostAddress = "80.80.80.2"
export const hostSix = "2606:50:50::2"
export const privateAddress = "10.55.0.5"

/** One address of each class that is not public, where our internet answers too, and the range that refuses it. */
export const refusedAddresses = [
  ["private", privateAddress, "10.0.0.0/8"],
  ["private", "172.16.9.9", "172.16.0.0/12"],
  ["private", "192.168.9.9", "192.168.0.0/16"],
  ["carriers'", "100.64.9.9", "100.64.0.0/10"],
  ["metadata", "169.254.169.254", "169.254.0.0/16"],
  ["cloud's own", "168.63.129.16", "168.63.129.16"],
  ["protocols'", "192.0.0.9", "192.0.0.0/24"],
  ["documentation", "192.0.2.9", "192.0.2.0/24"],
  ["documentation", "198.51.100.9", "198.51.100.0/24"],
  ["documentation", "203.0.113.9", "203.0.113.0/24"],
  ["benchmark", "198.18.9.9", "198.18.0.0/15"],
  ["relays'", "192.88.99.9", "192.88.99.0/24"],
  ["reserved", "240.0.0.9", "224.0.0.0/3"]
] as const

/** The same in IPv6. */
export const refusedSix = [
  ...["fd00:ec2::254", "fc00::9", "fec0::9", "100::9", "2001:db8::9", "2001::9", "3fff::9"],
  ...["2002:a37:5::9", "64:ff9b::a37:5", "64:ff9b::a9fe:a9fe"]
] as const

const tools = await Promise.all(
  ["ip", "nft", "nsenter", "unshare", "setpriv", "iptables"].map((name) =>
    findProgram(name, systemDirectories)
  )
)
export const canMakeEgressWorlds = process.getuid?.() === 0 && tools.every((tool) => tool !== null)

export const openEgressWorld = async ({
  unprivileged = false
}: EgressWorldOptions = {}): Promise<EgressWorld> => {
  const addresses = [publicAddress, ...refusedAddresses.map(([, address]) => address)]
  const id = randomBytes(3).toString("hex")
  const [host, internet] = [`egress-${id}-host`, `egress-${id}-net`]
  const folder = await mkdtemp(join(tmpdir(), "egress-world-"))
  const resolverFile = join(folder, "resolv.conf")
  // Services' users have to pass through.
  await chmod(folder, unprivileged ? 0o777 : 0o755)
  const copy = unprivileged ? await copyForEverybody() : null
  await writeFile(resolverFile, "nameserver 127.0.0.53\n")
  const batch = (commands: ReadonlyArray<string>, ...more: ReadonlyArray<string>) =>
    mustRun("ip", [...more, "-batch", "-"], `${commands.join("\n")}\n`)
  await batch([
    `netns add ${host}`,
    `netns add ${internet}`,
    `link add eth0 netns ${host} type veth peer name eth0 netns ${internet}`
  ])
  await batch(
    [
      "link set lo up",
      "link set eth0 up",
      `address add ${hostAddress}/24 dev eth0`,
      "route add default via 80.80.80.1",
      `address add ${hostSix}/64 dev eth0 nodad`,
      "route add default via 2606:50:50::1"
    ],
    ...["-n", host]
  )
  await batch(
    [
      "link set lo up",
      "link set eth0 up",
      "address add 80.80.80.1/24 dev eth0",
      ...addresses.map((address) => `address add ${address}/32 dev lo`),
      "address add 2606:50:50::1/64 dev eth0 nodad",
      ...[publicSix, ...refusedSix].map((address) => `address add ${address}/128 dev lo nodad`),
      // A neighbour that uses the host as its way to services, which no neighbour may.
      `route add 10.231.0.0/16 via ${hostAddress}`
    ],
    ...["-n", internet]
  )
  const inside = (namespace: string) => `--net=/run/netns/${namespace}`
  const server = spawn("nsenter", [inside(internet), process.execPath, "-e", answerAll], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  await once(server.stdout, "data")

  let child: ChildProcess | null = null
  let lines: AsyncIterator<string> | null = null
  // The scenario is a resolver too.
  if (copy) await mustRun("nsenter", [inside(host), "sysctl", "-qw", unprivilegedPorts])
  const drop = ["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups", "--"]
  const program = copy
    ? [...drop, join(copy, "bin", "node"), join(copy, "process", "EgressScenario.ts")]
    : [process.execPath, new URL("./EgressScenario.ts", import.meta.url).pathname]
  const boot = async () => {
    const script = `mount --bind "$0" /etc/resolv.conf && exec "$@"`
    const started = spawn(
      "nsenter",
      [...[inside(host), "unshare", "--mount", "/bin/sh", "-c", script, resolverFile], ...program],
      { stdio: ["pipe", "pipe", "inherit"] }
    )
    child = started
    lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]()
  }
  const stop = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, "exit")
    child.kill(signal)
    await gone
  }
  return {
    folder,
    boot,
    tell: async (order) => {
      child?.stdin?.write(`${JSON.stringify(order)}\n`)
      const line = await lines?.next()
      const told = JSON.parse(line?.value ?? `{"error":"the host's process has ended"}`)
      if ("error" in told) throw new Error(told.error)
      return told.value
    },
    host: (...command) => mustRun("nsenter", [inside(host), ...command]),
    internet: (...command) => mustRun("nsenter", [inside(internet), ...command]),
    crash: () => stop("SIGKILL"),
    close: async () => {
      await stop("SIGTERM")
      server.kill("SIGKILL")
      await runProgram(
        "ip",
        ["-force", "-batch", "-"],
        `netns del ${host}\nnetns del ${internet}\n`
      )
      for (const one of [folder, ...(copy ? [copy] : [])]) {
        await rm(one, { recursive: true, force: true })
      }
    }
  }
}

const unprivilegedPorts = "net.ipv4.ip_unprivileged_port_start=0"

/** Says who asks, so that a test sees whose address a service comes with. */
const answerAll = `
const server = require("node:net").createServer((socket) =>
  socket.end(socket.remoteAddress.replace("::ffff:", "")))
server.on("connection", (socket) => socket.on("error", () => {}))
server.listen(80, "::", () => console.log("ready"))
require("node:net").createServer((socket) => socket.end("81")).listen(81, "::")
`
