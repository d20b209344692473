import { spawn } from "node:child_process"
import { once } from "node:events"
import { readlink } from "node:fs/promises"
import type { Socket } from "node:net"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import { mayCall } from "@deploy-mcp/domain/node/MayCall"
import { assert, describe, it, onTestFinished } from "vitest"
import { ownAddresses } from "../EgressSelfTest.ts"
import { childrenOf } from "../ProcessTree.ts"
import { findProgram, minimalEnvironment, runProgram, systemDirectories } from "../Program.ts"
import { eventually } from "../TestEdge.ts"
import type { Judge } from "./Calls.ts"
import { type Enclaves, type EnclaveTools, makeEnclaves } from "./Enclave.ts"
import { makeGates } from "./Gate.ts"
import { tryEnclave } from "./Trial.ts"

const [ip, nsenter, setpriv, unshare] = await Promise.all(
  ["ip", "nsenter", "setpriv", "unshare"].map((name) => findProgram(name, systemDirectories))
)
const works =
  unshare &&
  (await runProgram(unshare, ["--map-current-user", "--keep-caps", "--net", "true"])).code === 0
const tools = works && nsenter && setpriv && ip ? { ip, nsenter, setpriv, unshare } : null

const policy: EgressPolicy = { reach: "public", allow: [] }
const judge: Judge = {
  ports: [],
  mayCall: (address, port) => mayCall(policy, address, port, ownAddresses("IPv4")),
  reach: () => null
}

const trials = (tools: EnclaveTools) => {
  const enclaves = makeEnclaves(tools)
  const attempt = (
    change: Partial<Judge> = {},
    made: Enclaves = enclaves,
    six: boolean | null = false
  ) =>
    tryEnclave(made, { policy, six, judge: { ...judge, ...change } }).then(
      () => "fine",
      (error: Error) => error.message
    )

  it("succeeds when all is as it should be", async () => {
    assert.strictEqual(await attempt(), "fine")
    assert.strictEqual(await attempt({}, enclaves, true), "fine")
  })

  it.each<[string, Partial<Judge>, RegExp]>([
    ["passes everybody", { mayCall: () => true }, /10\.0\.0\.1.*would not be refused/],
    [
      "passes the metadata service",
      { mayCall: (at, port) => at === "169.254.169.254" || judge.mayCall(at, port) },
      /calls of 169\.254\.169\.254, 169\.254\.169\.254 would not be refused/
    ],
    [
      "passes the host's loopback",
      { mayCall: (at, port) => at.startsWith("127.") || judge.mayCall(at, port) },
      /calls of 127\.0\.0\.1, 127\.0\.0\.2 would not/
    ],
    ["passes nobody", { mayCall: () => false }, /not called as the settings say/]
  ])("fails when the judgement %s", async (_, change, message) => {
    assert.match(await attempt(change), message)
  })

  it("fails when nothing leads to the edge", async () => {
    const around: Enclaves["around"] = (command) => enclaves.around(command, null)
    assert.match(await attempt({}, { ...enclaves, around }), /of \d+ calls .* [23] arrived/)
  })

  it("fails when an enclave is in the host's network, whatever else works", async () => {
    const around: Enclaves["around"] = (command) => {
      const script = `echo "holder $$" >&3; exec "$@"`
      return ["/bin/sh", "-c", script, "sh", ...command]
    }
    assert.match(
      await attempt({}, { ...enclaves, around }, null),
      /reached this host's own network/
    )
  })

  describe("gates", () => {
    it("leave when they rest, but for some, and are there again when they are needed", async () => {
      const gates = makeGates(tools.nsenter, 2, 100)
      const listening = await Promise.all(["a", "b", "c"].map((word) => inside(enclaves, word)))
      const rooms = listening.map(({ holder, port }) => ({ gate: gates.at(holder), port }))
      onTestFinished(() => {
        for (const { gate } of rooms) gate.close()
      })
      const said: Array<string> = []
      for (const { gate, port } of [...rooms, ...rooms])
        said.push(await textOf(gate.dial("127.0.0.1", port)))
      assert.deepStrictEqual(said, ["a", "b", "c", "a", "b", "c"])
      const holders = listening.map(({ holder }) => String(holder))
      await eventually(async () => ((await gatesOf(holders)) === 2 ? true : null))
      const refused = rooms[0]?.gate.dial("127.0.0.1", 9)
      assert.match((await refused?.then(String, String)) ?? "", /ECONNREFUSED/)
    })
  })
}

describe("the trial of an enclave", () => {
  if (tools) trials(tools)
  else it.skip("cannot be made here", () => {})
})

/** A program that listens in an enclave without calls, and says its word to who comes. */
const inside = async (enclaves: Enclaves, word: string) => {
  const port = 8080
  const program = `require("node:net").createServer((socket) => socket.end("${word}")).listen(${port}, () => console.log("ready"))`
  const [file, ...args] = enclaves.around([process.execPath, "-e", program], null)
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "inherit", "pipe"],
    env: minimalEnvironment
  })
  const ready = once(child.stdout ?? child, "data")
  onTestFinished(async () => {
    child.kill("SIGKILL")
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
  })
  const [{ holder }] = await Promise.all([enclaves.enter(child, null), ready])
  return { holder, port }
}

const textOf = async (dialled: Promise<Socket>): Promise<string> => {
  let text = ""
  for await (const chunk of await dialled) text += String(chunk)
  return text
}

/** Children of this process that are in one of these networks, but not its holder. */
const gatesOf = async (holders: ReadonlyArray<string>): Promise<number> => {
  const own = await readlink("/proc/self/ns/net")
  const theirs = await Promise.all(holders.map((holder) => readlink(`/proc/${holder}/ns/net`)))
  const found = await Promise.all(
    (await childrenOf(process.pid))
      .filter((pid) => !holders.includes(String(pid)))
      .map((pid) => readlink(`/proc/${pid}/ns/net`).catch(() => own))
  )
  return found.filter((network) => theirs.includes(network)).length
}
