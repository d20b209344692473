import { execFile } from "node:child_process"
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import type { SandboxChoice } from "@deploy-mcp/domain/node/SandboxChoice"
import { afterAll, assert, beforeAll, describe, it, onTestFinished } from "vitest"
import { copyForEverybody } from "../CopyForEverybody.ts"
import { openEgressEdge } from "../EgressEdge.ts"
import {
  canMakeEgressWorlds,
  hostAddress,
  openEgressWorld,
  publicAddress,
  refusedAddresses
} from "../EgressWorld.ts"
import { attemptsOfService, openEscapeWorld, succeeded } from "../EscapeWorld.ts"
import { killedEdge, livingOf } from "../KilledEdge.ts"
import { firstUser } from "../LaunchInSlot.ts"
import { findProgram } from "../Program.ts"
import { fetchText, leftovers, openTestEdge, type TestEdge } from "../TestEdge.ts"
import { problemOf } from "./TryGvisor.ts"

const root = process.getuid?.() === 0

const folderOf = async (name: string): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), `gvisor-${name}-`))
  await chmod(folder, 0o755)
  return folder
}

/** Installed: then it has to work. */
const [bwrap, runsc] = await Promise.all(["bwrap", "runsc"].map((name) => findProgram(name)))
const hostKernel = (await readFile("/proc/version", "utf8")).trim()

/** What its own kernel grants, since only that kernel is seen and changed by it. */
const ofItsOwnKernel = [
  // Users, devices and a log that no other sees; and the program's own children.
  ...["clone a user", "clone3 a user", "unshare a user", "unshare a clock"],
  ...["make a device", "open a machine device", "hear of devices", "read the kernel's log"],
  ...["place memory", "read a child's memory", "take a child's file", "trace a child"],
  // That it never will, it does not say; "run as root" tries it.
  "gain privileges"
]

const isWayOut = (name: string): boolean => !ofItsOwnKernel.includes(name)

const answering = `
const server = require("node:http").createServer((question, answer) => {
  if (question.url === "/die") process.exit(7)
  const words = require("node:child_process").execFileSync("cat", ["/proc/version"])
  answer.end(process.env.WORD + " " + process.pid + " " + words)
}).listen(process.env.PORT)
process.on("SIGTERM", () => setTimeout(() => { console.log("good bye"); process.exit(0) }, 50))
console.log("started in", process.cwd())
console.error("to stderr")`

const suite = () => {
  let edge: TestEdge
  beforeAll(async () => {
    edge = await openTestEdge({
      sandbox: "gvisor",
      backoff: { first: 20, longest: 200, stable: 60_000 }
    })
  })
  afterAll(async () => {
    await edge.close()
    assert.deepStrictEqual(await leftovers(edge.homeId), [])
  })

  it("is told layer by layer", () => {
    const { layers = [], level, refused } = edge.processes.isolation
    assert.deepStrictEqual([level, refused], ["gvisor", undefined])
    const inside = layers.filter(({ layer }) =>
      ["namespaces", "system calls", "rights", "files"].includes(layer)
    )
    assert.deepStrictEqual(
      inside.map(({ state }) => state),
      ["holds", "holds", "holds", "holds"]
    )
    assert.match(inside[1]?.detail ?? "", /kernel of its own \(gVisor \S+, (systrap|ptrace)\)/)
  })

  it("answers from a kernel of its own, prints, is started again, and ends by SIGTERM", async () => {
    const run = await edge.run(answering, {
      variables: { WORD: "wörld 'quoted' $HOME" },
      workload: { start: "node server.js; echo the shell goes on" }
    })
    const answer = await fetchText(await run.healthy())
    assert.match(answer, /^wörld 'quoted' \$HOME \d+ Linux version /)
    assert.notInclude(answer, hostKernel)
    assert.includeMembers([...run.lines], ["stdout: started in /app", "stderr: to stderr"])
    await fetchText(await run.healthy(), "/die").catch(() => {})
    const down = await run.until(({ failure }) => failure !== null)
    // The shell's own word goes on after that of the program.
    assert.include(run.lines, "stdout: the shell goes on")
    assert.deepStrictEqual([down.state, down.failure?.code], ["starting", "exited"])
    await run.until(({ restarts, state }) => state === "healthy" && restarts === 1)
    await run.process.stop(20_000)
    assert.strictEqual(run.lines.filter((line) => line === "stdout: good bye").length, 1)
  })

  it("is killed when it does not listen, and says how it ended when it ends", async () => {
    const deaf = await edge.run(
      `${answering.replace("process.on", "void")}\nprocess.on("SIGTERM", () => console.log("no"))`
    )
    const ending = await edge.run("process.exit(3)")
    await deaf.healthy()
    await deaf.process.stop(1000)
    assert.include(deaf.lines, "stdout: no")
    assert.match((await ending.failed()).cause, /exit code 3/)
  })

  it("stands still as often as wanted, goes on, and hears that it is to end while it stands", async () => {
    const run = await edge.run(answering)
    const endpoint = await run.healthy()
    const before = await fetchText(endpoint)
    for (let round = 0; round < 3; round++) {
      assert.isAbove((await run.process.freeze()) ?? 0, 8 * 1024 * 1024)
      let answered = false
      const answer = fetchText(endpoint).finally(() => {
        answered = true
      })
      await new Promise((resolve) => setTimeout(resolve, 100))
      assert.isFalse(answered)
      await run.process.thaw()
      assert.strictEqual(await answer, before)
    }
    await run.process.freeze()
    await run.process.stop(20_000)
    assert.include(run.lines, "stdout: good bye")
  })

  it("has no more memory than it may", async () => {
    if (!edge.processes.isolation.limits.memory) return
    const run = await edge.run(
      "const all = []; setInterval(() => all.push(Buffer.alloc(32 * 1024 * 1024, 1)), 1)",
      { workload: { memory: 128 } }
    )
    assert.strictEqual((await run.failed()).code, "out_of_memory")
  })

  it("finds no way out", async () => {
    const world = await openEscapeWorld(join(edge.home, "platform"), root ? firstUser : undefined)
    onTestFinished(world.close)
    const attempts = await attemptsOfService(edge, world)
    assert.isAbove(attempts.size, 60)
    assert.notInclude([...attempts.values()].join(), "died")
    assert.deepStrictEqual(succeeded(attempts).filter(isWayOut), [])
  })

  it("dies with the edge, and the next edge of this home removes what is left", async () => {
    const home = await folderOf("home")
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    const homeId = `${edge.homeId}0`
    const pids = await killedEdge(home, homeId, "gvisor")
    assert.isAbove(pids.length, 10)
    const heir = await openTestEdge({ home, homeId, sandbox: "none" })
    assert.deepStrictEqual(await livingOf(pids), [])
    await heir.close()
    assert.deepStrictEqual(await leftovers(homeId), [])
  })

  it("is all that without rights, too, but for limits", async () => {
    const place = await copyForEverybody()
    onTestFinished(() => rm(place, { recursive: true, force: true }))
    const user = ["--reuid", "65533", "--regid", "65533", "--clear-groups", "--"]
    const [file = "", ...args] = [
      ...(root ? ["setpriv", ...user] : []),
      ...[join(place, "bin", "node"), join(place, "process", "gvisor", "WithoutRights.ts")]
    ]
    const { stdout } = await promisify(execFile)(file, args, {
      env: { PATH: process.env.PATH, TMPDIR: join(place, "tmp") },
      timeout: 60_000
    })
    const { bytes, escaped, isolation, ...told } = JSON.parse(
      stdout.trim().split("\n").at(-1) ?? ""
    )
    assert.deepStrictEqual(told, {
      hostKernel: false,
      frozen: ["T"],
      lines: ["stdout: bye"],
      survivors: []
    })
    assert.deepInclude(isolation, { level: "gvisor", network: true })
    assert.include(isolation.notes, "Memory is not limited.")
    assert.isTrue(bytes > 8 * 1024 ** 2 && bytes < 256 * 1024 ** 2, bytes)
    assert.deepStrictEqual(escaped.filter(isWayOut), [])
  })

  it("calls what the rules let it, and nothing else", async () => {
    if (!canMakeEgressWorlds) return
    const world = await openEgressWorld()
    onTestFinished(world.close)
    await world.boot()
    const policy = { reach: "public", allow: [] } as const
    const caller = await openEgressEdge(world, policy, { sandbox: "gvisor" })
    onTestFinished(async () => void (await caller.close()))
    const other = await openEgressEdge(world, policy)
    onTestFinished(async () => void (await other.close()))
    assert.strictEqual(await caller.reach(publicAddress), hostAddress)
    assert.strictEqual(await caller.reach("api.example.test"), hostAddress)
    const { host, port } = other.endpoint
    const gateway = caller.endpoint.host.replace(/\d+$/, (last) => String(Number(last) - 1))
    const refused = [
      ...refusedAddresses.map(([, address]) => [address, 80] as const),
      ...["127.0.0.1", "::1", gateway, hostAddress].map((address) => [address, 8081] as const),
      [host, port] as const
    ]
    for (const [address, at] of refused) {
      const answer = await caller.call(address, at)
      assert.include(["ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "silence"], answer, address)
    }
  })
}

describe("a service in gVisor", () => {
  if (bwrap && runsc) suite()
  else it.skip("cannot be tried here", () => {})
})

describe("the trial at the start", () => {
  const own = "Linux version 4.19.0-gvisor"
  const powerless = "CapEff:\t0000000000000000"
  const [firm, kept] = [
    "1 0 0:1 / / ro - 9p",
    "2 1 0:2 / /proc ro - proc\n3 1 0:3 / /sys ro - sysfs"
  ]

  it.each([
    [0, [own, powerless, firm, kept], null],
    [1, [own, powerless, firm, kept], "no reason given"],
    [0, [hostKernel, powerless, firm, kept], "sees the host's kernel"],
    [0, ["", powerless, firm, kept], "sees the host's kernel"],
    [0, [own, "CapEff:\t0000000000200000", firm, kept], "holds capabilities"],
    [0, [own, firm, kept], "holds capabilities"],
    [0, [own, powerless, "1 0 0:1 / / rw - 9p", kept], "can write to /"],
    [0, [own, powerless, kept], "can write to /"]
  ])("of code %d and %j finds: %s", async (code, lines, expected) => {
    const stdout = lines.map((line) => `${line.trim()}\n`).join("")
    const problem = await problemOf({ code, stdout, stderr: "no reason given\n" })
    if (expected === null) assert.isNull(problem)
    else assert.include(problem ?? "", expected)
  })
})

describe("a sandbox that was asked for and does not work", () => {
  it.each<[SandboxChoice, string, string, RegExp]>([
    ["gvisor", "runsc", "", /runsc/],
    ["gvisor", "runsc", "exit 1", /does not run a program here/],
    ["bubblewrap", "bwrap", "exit 1", /bubblewrap does not work here/]
  ])(
    "is %s where %s is %j: no service is run in anything weaker",
    async (sandbox, name, text, why) => {
      const folder = await folderOf("programs")
      onTestFinished(() => rm(folder, { recursive: true }))
      await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`)
      await chmod(join(folder, name), text === "" ? 0o644 : 0o755)
      const edge = await openTestEdge({ sandbox, without: [name], programs: folder })
      onTestFinished(edge.close)
      const { layers = [], level, refused = "" } = edge.processes.isolation
      assert.strictEqual(level, "plain")
      assert.include(refused, `DEPLOY_MCP_SANDBOX is ${sandbox}`)
      assert.match(refused, why)
      assert.match(refused, /set DEPLOY_MCP_SANDBOX to auto, and start the platform again\.$/)
      assert.deepInclude(layers[0], { layer: "sandbox", state: "missing" })
      const own = await edge.run(`console.log("it runs")`)
      assert.deepInclude(await own.failed(), { code: "no_sandbox", cause: refused })
      assert.notInclude(own.lines.join(), "it runs")
    }
  )

  it("is none by its own name: only services of the platform's owner are run", async () => {
    const edge = await openTestEdge({ sandbox: "none" })
    onTestFinished(edge.close)
    const { level, notes, refused } = edge.processes.isolation
    assert.deepStrictEqual([level, refused], ["plain", undefined])
    assert.match(notes.join(), /DEPLOY_MCP_SANDBOX is none/)
    const stranger = await edge.run(answering, { tenant: 1 })
    assert.strictEqual((await stranger.failed()).code, "no_sandbox")
  })
})
