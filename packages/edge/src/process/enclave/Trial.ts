/**
 * Calls from an enclave what must be refused there, and what may pass. Nothing is really called: the
 * edge counts what its judgement lets pass. Everything leads to that judgement, so that routes hide
 * nothing of it.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { type AddressInfo, createServer, type Server } from "node:net"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import { ownAddresses, refusedSamples } from "../EgressSelfTest.ts"
import { minimalEnvironment } from "../Program.ts"
import type { Judge } from "./Calls.ts"
import type { Enclaves } from "./Enclave.ts"
import { allRoutes } from "./Routes.ts"

export interface Trial {
  readonly policy: EgressPolicy
  readonly judge: Judge
  /** Whether IPv6 is called too. Null: nothing can be called, and there is no judgement to try. */
  readonly six: boolean | null
}

/** Resolves when all is as it must be; else the error says what is not. */
export const tryEnclave = async (enclaves: Enclaves, trial: Trial): Promise<void> => {
  const { policy } = trial
  const six = trial.six === true
  const arrived: Array<string> = []
  const passed: Array<string> = []
  const judge: Judge = {
    ports: [],
    mayCall: (address, port) => {
      arrived.push(address)
      return trial.judge.mayCall(address, port)
    },
    reach: (address) => {
      passed.push(address)
      return null
    }
  }
  const way = trial.six !== null ? { routes: allRoutes(six), judge } : null
  const refused = refusedTargets(policy, six)
  const open = ["8.8.8.8", ...(six ? ["2606:4700:4700::1111"] : [])]
  const calls = way === null ? [] : [...refused, ...open].map((host) => ({ host, port }))
  const canaries = await openCanaries()
  const command = enclaves.around([process.execPath, "-e", probe], way)
  const [file, ...args] = command
  const child = spawn(file, args, {
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    env: minimalEnvironment,
    cwd: "/"
  })
  const gone = once(child, "close")
  const limit = setTimeout(() => child.kill("SIGKILL"), limitMs)
  try {
    const words = wordsOf(child)
    const enclave = await enclaves.enter(child, way).catch((error: Error) => {
      throw new Error(words() || error.message)
    })
    try {
      child.stdin?.end(JSON.stringify([...calls, ...canaries.places]))
      if (!(await tells(child, "called"))) throw new Error(words() || "the trial came to no end")
      if (canaries.met()) throw new Error("a process in it reached this host's own network")
      const inside = await enclave.dial("127.0.0.1", insidePort)
      inside.destroy()
    } finally {
      enclave.close()
    }
  } finally {
    clearTimeout(limit)
    child.kill("SIGKILL")
    await gone
    canaries.close()
  }
  if (arrived.length !== calls.length) {
    throw new Error(`of ${calls.length} calls of the self-test ${arrived.length} arrived`)
  }
  const leaked = passed.filter((address) => !open.includes(address))
  if (leaked.length > 0) throw new Error(`calls of ${leaked.join(", ")} would not be refused`)
  if (way !== null && passed.length !== (policy.reach === "public" ? open.length : 0)) {
    throw new Error("public addresses are not called as the settings say")
  }
}

const limitMs = 20_000
/** One that can always be called. */
const port = 443
const insidePort = 8080

const refusedTargets = (policy: EgressPolicy, six: boolean): ReadonlyArray<string> => {
  const isAllowed = (own: string) =>
    policy.allow.some((one) => one.bits === 32 && one.port === port && one.address === own)
  return [
    ...["127.0.0.1", "127.0.0.2", "10.231.0.1", "::ffff:169.254.169.254"],
    ...refusedSamples(policy, port).filter((address) => !address.startsWith("224.")),
    ...some(ownAddresses("IPv4").filter((address) => !isAllowed(address))),
    ...(six ? refusedSix : []),
    ...(six ? some(ownAddresses("IPv6").filter((address) => !address.startsWith("fe80"))) : [])
  ]
}

/** A host can have hundreds of addresses; they are all judged alike. */
const some = (all: ReadonlyArray<string>): ReadonlyArray<string> => all.slice(0, 8)

const refusedSix = [
  ...["::1", "fd00:ec2::254", "fc00::1", "64:ff9b::a9fe:a9fe", "2001:db8::1", "2002:a00:1::1"],
  ...["2001::1", "3fff::1", "fec0::1", "100::1"]
]

/** Listeners of this host that nobody in an enclave can come to. */
const openCanaries = async () => {
  let met = false
  const servers: Array<Server> = []
  for (const host of ["127.0.0.1", "::1", ...some(ownAddresses("IPv4"))]) {
    const server = createServer((socket) => {
      met = true
      socket.destroy()
    })
    // An address that can't be listened at can't be reached there either.
    const listens = once(server, "listening").then(
      () => servers.push(server),
      () => {}
    )
    server.listen(0, host)
    await listens
  }
  return {
    places: servers.map((server) => {
      const { address, port } = server.address() as AddressInfo
      return { host: address, port }
    }),
    met: () => met,
    close: () => {
      for (const server of servers) server.close()
    }
  }
}

/** The last line that it said about what went wrong. */
const wordsOf = (child: ChildProcess) => {
  let words = ""
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    words = (words + chunk).slice(-500)
  })
  return () => words.trim().split("\n").at(-1) ?? ""
}

const tells = async (child: ChildProcess, word: string): Promise<boolean> => {
  let told = ""
  for await (const chunk of child.stdout ?? []) {
    told += String(chunk)
    if (told.includes(word)) return true
  }
  return false
}

/** Runs in the enclave: calls everybody, then waits to be called itself. */
const probe = `
const net = require("node:net")
const call = ({ host, port }) => new Promise((over) =>
  net.connect({ host, port, timeout: 5000 }, function () { this.end() })
    .on("timeout", function () { this.destroy() })
    .on("error", () => {})
    .on("close", over)
    .resume())
let asked = ""
process.stdin.on("data", (chunk) => { asked += chunk }).on("end", () => {
  Promise.all(JSON.parse(asked).map(call)).then(() =>
    net.createServer((socket) => socket.end()).listen(${insidePort}, "127.0.0.1", () => console.log("called")))
})
`
