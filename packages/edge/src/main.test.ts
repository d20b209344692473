import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import {
  askEdge,
  type Control,
  dial,
  eventually,
  openControl,
  processRelease,
  stageOf,
  staticRelease
} from "./testing/EdgeHarness.ts"

interface Started {
  readonly child: ChildProcess
  readonly log: () => string
  readonly exit: Promise<number | null>
}

/** A test changes nothing of the machine's own network. */
const quiet = { DEPLOY_MCP_EGRESS: "none" }

const startMain = (home: string, env: Readonly<Record<string, string>> = quiet): Started => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
    env: { PATH: process.env.PATH, DEPLOY_MCP_HOME: home, DEPLOY_MCP_APPS_PORT: "0", ...env },
    stdio: ["ignore", "ignore", "pipe"]
  })
  let log = ""
  child.stderr?.on("data", (chunk) => {
    log += chunk
  })
  const exit = once(child, "exit").then(([code]) => code)
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM")
    await exit
  })
  return { child, log: () => log, exit }
}

const makeHome = async (...below: ReadonlyArray<string>) => {
  const folder = await mkdtemp(join(tmpdir(), "edge-main-"))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const home = join(folder, ...below)
  await mkdir(home, { recursive: true })
  return home
}

const ready = async (home: string, started: Started): Promise<Control> => {
  await eventually(`it serves: ${started.log()}`, () => started.log().includes("serves"))
  const control = await openControl(home, "deploy")
  onTestFinished(control.close)
  return control
}

const site = staticRelease(1, import.meta.dirname)

describe("the edge as a process", () => {
  it.each([
    [{ DEPLOY_MCP_LOG_RATE: "0" }, "DEPLOY_MCP_LOG_RATE must be a whole number above 0"],
    [{ DEPLOY_MCP_LOG_SIZE: "0" }, "DEPLOY_MCP_LOG_SIZE must be a whole number above 0"],
    [{ DEPLOY_MCP_EGRESS: "all" }, "DEPLOY_MCP_EGRESS must be public or none"],
    [
      { DEPLOY_MCP_SANDBOX: "jail" },
      "DEPLOY_MCP_SANDBOX must be one of auto, bubblewrap, gvisor, none"
    ],
    [
      { DEPLOY_MCP_EGRESS_ALLOW: "10.0.0.5/24" },
      "DEPLOY_MCP_EGRESS_ALLOW: 10.0.0.5/24: the address"
    ]
  ])("does not start with %j", async (env, problem) => {
    const started = startMain(await makeHome(), env)
    assert.strictEqual(await started.exit, 1)
    assert.include(started.log(), problem)
  })

  it("is the only one of its home, and takes over what a killed one left", async () => {
    const home = await makeHome()
    const first = startMain(home)
    await ready(home, first)
    const second = startMain(home)
    assert.strictEqual(await second.exit, 3)
    assert.include(second.log(), "another edge is running")
    assert.strictEqual(await readFile(join(home, "run/edge.pid"), "utf8"), `${first.child.pid}\n`)

    first.child.kill("SIGKILL")
    await first.exit
    assert.isTrue(existsSync(join(home, "run/edge.sock")))
    const both = [startMain(home), startMain(home)]
    const loser = await Promise.race(both.map(async (one) => ({ one, code: await one.exit })))
    assert.strictEqual(loser.code, 3)
    const winner = both.find((one) => one !== loser.one)
    assert(winner !== undefined)
    const hello = await (await ready(home, winner)).hello(1)
    assert.strictEqual(hello.pid, winner.child.pid)
  })

  it("ends on SIGTERM after those being answered, and leaves no pid file or socket", async () => {
    const home = await makeHome()
    const edge = startMain(home)
    const control = await ready(home, edge)
    const { appsPort, nodeKey } = await control.hello(1)
    const release = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [release], 1))
    await control.state(release.release, "healthy")
    const slow = await dial(appsPort)
    slow.write("GET /held?key=a HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await slow.until("200 OK")
    const other = await dial(appsPort)
    edge.child.kill("SIGTERM")
    const refused = () =>
      askEdge(appsPort, "/").then(
        () => "answered",
        (error) => error.code
      )
    await eventually("it accepts no more", async () => (await refused()) === "ECONNREFUSED")
    assert.isNull(edge.child.exitCode)
    other.write("GET /release?key=a:done HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    slow.socket.destroy()
    assert.strictEqual(await edge.exit, 0)
    assert.isFalse(existsSync(join(home, "run/edge.sock")))
    assert.isFalse(existsSync(join(home, "run/edge.pid")))
  })

  it("brings its services back after kill -9, alone, and leaves no process behind", async () => {
    const home = await makeHome()
    const first = startMain(home)
    const control = await ready(home, first)
    const { nodeKey } = await control.hello(1)
    const release = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [release], 1))
    await control.state(release.release, "healthy")
    first.child.kill("SIGKILL")
    await first.exit
    const second = startMain(home)
    await eventually("it serves", () => second.log().includes("serves"))
    const port = Number(/at port (\d+)/u.exec(second.log())?.[1])
    assert.strictEqual((await askEdge(port, "/")).text, "v1")
  })

  it("ends by itself when its home is gone", async () => {
    const home = await makeHome()
    const edge = startMain(home)
    const control = await ready(home, edge)
    await control.hello(1)
    await control.snapshot(stageOf(1, [site], 1))
    await rename(home, `${home}-moved`)
    onTestFinished(() => rm(`${home}-moved`, { recursive: true, force: true }))
    await mkdir(home)
    assert.strictEqual(await edge.exit, 0)
    assert.include(edge.log(), "home is gone")
  })

  it("binds its socket below a home whose path is too long for one", async () => {
    const home = await makeHome("x".repeat(100), "y".repeat(100))
    const edge = startMain(home)
    await eventually("it serves", () => edge.log().includes("serves"))
    assert.isTrue(existsSync(join(home, "run/edge.sock")))
  })
})
