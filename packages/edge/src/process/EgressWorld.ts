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

/** Where our internet answers, each with listeners at port 80 and 81. */
export const publicAddress = "93.184.216.34"
export const hostAddress = "80.80.80.2"
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

const tools = await Promise.all(
  ["ip", "nft", "nsenter", "unshare", "setpriv", "iptables"].map((name) =>
    findProgram(name, systemDirectories)
  )
)
export const canMakeEgressWorlds = process.getuid?.() === 0 && tools.every((tool) => tool !== null)

export const openEgressWorld = async (): Promise<EgressWorld> => {
  const addresses = [publicAddress, ...refusedAddresses.map(([, address]) => address)]
  const id = randomBytes(3).toString("hex")
  const [host, internet] = [`egress-${id}-host`, `egress-${id}-net`]
  const folder = await mkdtemp(join(tmpdir(), "egress-world-"))
  const resolverFile = join(folder, "resolv.conf")
  // Services' users have to pass through.
  await chmod(folder, 0o755)
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
      "route add default via 80.80.80.1"
    ],
    ...["-n", host]
  )
  await batch(
    [
      "link set lo up",
      "link set eth0 up",
      "address add 80.80.80.1/24 dev eth0",
      ...addresses.map((address) => `address add ${address}/32 dev lo`),
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
  const boot = async () => {
    const scenario = new URL("./EgressScenario.ts", import.meta.url).pathname
    const script = `mount --bind "$0" /etc/resolv.conf && exec "$@"`
    const started = spawn(
      "nsenter",
      [
        ...[inside(host), "unshare", "--mount", "/bin/sh", "-c", script, resolverFile],
        ...[process.execPath, scenario]
      ],
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
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** Says who asks, so that a test sees whose address a service comes with. */
const answerAll = `
const server = require("node:net").createServer((socket) => socket.end(socket.remoteAddress))
server.on("connection", (socket) => socket.on("error", () => {}))
server.listen(80, "0.0.0.0", () => console.log("ready"))
require("node:net").createServer((socket) => socket.end("81")).listen(81, "0.0.0.0")
`
