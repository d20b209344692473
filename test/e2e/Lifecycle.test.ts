/** Starting, stopping and looking at a platform: what scripts and operators rely on. */
import { spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { endOf, freePort, type Platform, root, spawnControl, startPlatform } from "./Platform.ts"
import { isAlive, remainsOf } from "./Remains.ts"
import { ask } from "./Requests.ts"

let platform: Platform
beforeAll(async () => {
  platform = await startPlatform()
})
afterAll(() => platform.dispose())

const modeOf = (...path: ReadonlyArray<string>) =>
  (statSync(join(platform.home, ...path)).mode & 0o777).toString(8)

/** `address:port` of every socket that a process listens on, as the kernel writes it. */
const listeningOf = (pid: number): ReadonlyArray<string> => {
  const inodes = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/u.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
    } catch {
      return undefined
    }
  })
  return ["tcp", "tcp6"]
    .flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n"))
    .map((line) => line.trim().split(/\s+/u))
    .filter((fields) => fields[3] === "0A" && inodes.includes(fields[9]))
    .map((fields) => fields[1] ?? "")
}

/** A started process of ours that is to end by itself. */
const ending = async (child: ReturnType<typeof spawnControl>) => {
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
  }
  return { code: await endOf(child), output }
}

describe("a running platform", () => {
  it("says where its processes are", () => {
    for (const which of ["control", "edge"] as const) {
      assert.isTrue(isAlive(platform.pid(which)), which)
      const command = readFileSync(`/proc/${platform.pid(which)}/cmdline`, "utf8")
      assert.include(command, `dist/${which}.mjs`)
    }
  })

  it("answers about its health", async () => {
    const asked = (path: string) => ask({ port: platform.ports().port, host: "localhost", path })
    assert.strictEqual((await asked("/livez")).status, 200)
    assert.strictEqual((await asked("/readyz")).status, 200)
    const metrics = await asked("/metrics")
    assert.strictEqual(metrics.status, 200)
    assert.match(metrics.headers["content-type"] ?? "", /^text\/plain/u)
    for (const line of metrics.body.split("\n")) {
      assert.match(line, /^$|^# (HELP|TYPE) |^[a-zA-Z_:][\w:]*(\{.*\})? \S+( \d+)?$/u)
    }
  })

  it("listens on the loopback address alone", () => {
    const { port, appsPort } = platform.ports()
    const hex = (value: number) => value.toString(16).toUpperCase().padStart(4, "0")
    assert.deepStrictEqual(listeningOf(platform.pid("control")), [`0100007F:${hex(port)}`])
    assert.deepStrictEqual(listeningOf(platform.pid("edge")), [`0100007F:${hex(appsPort)}`])
  })

  it("keeps its keys to itself", () => {
    assert.match(platform.key(), /^dk_live_\w+$/u)
    for (const file of ["owner-key", "vault.key", "run/control.pid", "edge/node-key.json"]) {
      assert.strictEqual(modeOf(file), "600", file)
    }
    for (const folder of ["run", "edge", "logs"]) assert.strictEqual(modeOf(folder), "700", folder)
  })

  it("prints the addresses, the key and the next step at its first start, the key only then", async () => {
    const first = platform.output()
    assert.include(first, `${platform.url()}/mcp`)
    assert.include(first, platform.key())
    assert.include(first, "claude mcp add --transport http")
    await platform.stop()
    await platform.start()
    await eventually("the second banner", () =>
      platform.output().slice(first.length).includes("claude mcp add")
    )
    assert.notInclude(platform.output().slice(first.length), platform.key())
  })

  it("is not disturbed by a second start on its home, which says who holds it", async () => {
    const [control, edge] = [platform.pid("control"), platform.pid("edge")]
    const ports = { port: await freePort(), appsPort: await freePort() }
    const { code, output } = await ending(spawnControl(platform.home, ports))
    assert.strictEqual(code, 1)
    assert.include(output, `is held by process ${control}`)
    assert.notMatch(output, /^\s+at /mu)
    assert.strictEqual(platform.pid("control"), control)
    assert.strictEqual(platform.pid("edge"), edge)
    assert.isString((await platform.api.whoami()).owner)
  })

  it("refuses a port that is taken in one line, and leaves nothing", async () => {
    const home = join(platform.folder, "second")
    const ports = { port: platform.ports().port, appsPort: await freePort() }
    const { code, output } = await ending(spawnControl(home, ports))
    assert.strictEqual(code, 1)
    assert.include(output, String(ports.port))
    assert.notMatch(output, /^\s+at /mu)
    assert.deepStrictEqual(remainsOf(home), [])
  })

  it("says when another program has the port for services, and takes it as soon as it is free", async () => {
    const taken = createServer()
    const appsPort = await freePort()
    await new Promise<void>((resolve) => taken.listen(appsPort, "127.0.0.1", resolve))
    const before = platform.output().length
    await platform.stop()
    const ready = platform.start({ appsPort })
    await eventually("the banner", () => platform.output().slice(before).includes("claude mcp add"))
    assert.match(platform.output().slice(before), new RegExp(`! .*${appsPort}`))
    const notReady = await fetch(`${platform.url()}/readyz`)
    assert.strictEqual(notReady.status, 503)
    assert.include(await notReady.text(), String(appsPort))
    await new Promise((resolve) => taken.close(resolve))
    await ready
    assert.strictEqual((await platform.get("nobody")).status, 404)
  })
})

describe("a stop", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("by %s of the launcher ends both", async (signal) => {
    const home = join(platform.folder, signal)
    const ports = { port: await freePort(), appsPort: await freePort() }
    const child = spawn(process.execPath, [join(root, "bin/deploy-mcp.mjs"), "up"], {
      stdio: "ignore",
      env: {
        ...process.env,
        DEPLOY_MCP_HOME: home,
        DEPLOY_MCP_PORT: String(ports.port),
        DEPLOY_MCP_APPS_PORT: String(ports.appsPort)
      }
    })
    await eventually("it is ready", () =>
      fetch(`http://127.0.0.1:${ports.port}/readyz`).then(
        ({ ok }) => ok,
        () => false
      )
    )
    const end = endOf(child)
    child.kill(signal)
    const code = await end
    assert.include([0, 130], code)
    assert.deepStrictEqual(remainsOf(home), [])
  })

  it("comes by itself when the home is gone", async () => {
    const home = join(platform.folder, "vanishing")
    const ports = { port: await freePort(), appsPort: await freePort() }
    const child = spawnControl(home, ports)
    const ended = ending(child)
    await eventually("it is ready", () =>
      fetch(`http://127.0.0.1:${ports.port}/readyz`).then(
        ({ ok }) => ok,
        () => false
      )
    )
    // Both still write there.
    rmSync(home, { recursive: true, force: true, maxRetries: 10 })
    const { output } = await ended
    assert.match(output, /is gone/u)
    await eventually("nothing is left", () => remainsOf(home).length === 0)
    assert.isFalse(existsSync(home))
  })
})
