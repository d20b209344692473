/** `npm run demo` and `deploy` on a real platform: the story that the README tells. */
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, assert, beforeEach, describe, it } from "vitest"

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))

let world: string
let env: Readonly<Record<string, string | undefined>>
let platform: number | undefined

beforeEach(async () => {
  world = mkdtempSync(path.join(tmpdir(), "deploy-mcp-story-"))
  env = {
    ...process.env,
    TMPDIR: world,
    DEPLOY_MCP_KEY: undefined,
    DEPLOY_MCP_HOME: undefined,
    DEPLOY_MCP_PORT: String(await freePort()),
    DEPLOY_MCP_APPS_PORT: String(await freePort())
  }
})

afterEach(async () => {
  if (platform !== undefined) await stop(platform)
  platform = undefined
  rmSync(world, { recursive: true, force: true })
})

describe("the demo", () => {
  it("tells the story on a platform of its own and leaves nothing behind", async () => {
    const { code, stdout, stderr } = await run("demo", "--json")
    assert.strictEqual(code, 0, stderr)
    const { stages } = JSON.parse(stdout)
    assert.deepStrictEqual(
      stages.map(({ stage }: { stage: string }) => stage),
      ["platform", "repository", "service", "push", "answer", "change", "answer"]
    )
    assert.match(stages[4].detail, /→ 200 "Hello from a push"$/u)
    assert.match(stages[6].detail, /→ 200 "Hello again, one line later"$/u)
    assert.deepStrictEqual(readdirSync(world), [])
    assert.strictEqual((await run("services")).code, 1, "the platform is stopped")
  })

  it("keeps the platform when asked, which then serves the other commands", async () => {
    const { code, stdout, stderr } = await run("demo", "--keep")
    assert.strictEqual(code, 0, stderr)
    const [, home = "", pid] = /the platform in (\S+); stop it with: kill (\d+)/u.exec(stdout) ?? []
    platform = Number(pid)
    env = { ...env, DEPLOY_MCP_HOME: home }

    const site = path.join(world, "my-site")
    writeFileSync(path.join(mkdtempSync(`${site}-`), "index.html"), "<h1>mine</h1>")
    const folder = readdirSync(world).find((name) => name.startsWith("my-site-")) ?? ""
    const deployed = await run("deploy", path.join(world, folder), "--name", "my-site", "--json")
    assert.strictEqual(deployed.code, 0, deployed.stderr)
    assert.strictEqual(JSON.parse(deployed.stdout).status, "live")
    assert.match((await run("services")).stdout, /^my-site +live +webapp_static /mu)
    assert.match((await run("logs", "deploy-mcp-demo", "--build")).stdout, /package\.json/u)
    assert.strictEqual((await run("doctor")).code, 0)

    const again = await run("demo", "--json")
    assert.strictEqual(again.code, 0, again.stderr)
    assert.match(JSON.parse(again.stdout).stages[0].detail, /^the one on /u)
    assert.match((await run("services")).stdout, /^deploy-mcp-demo +live /mu)
  })
})

const run = (...args: ReadonlyArray<string>) =>
  new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [path.join(root, "bin/deploy-mcp.mjs"), ...args], { env })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (text) => {
      stdout += text
    })
    child.stderr.on("data", (text) => {
      stderr += text
    })
    child.on("close", (code) => resolve({ code, stdout, stderr }))
  })

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })

/** Asks a process that is not our child to end, and waits until it has. */
const stop = async (pid: number) => {
  process.kill(pid, "SIGTERM")
  const deadline = Date.now() + 30_000
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    if (Date.now() > deadline) {
      process.kill(pid, "SIGKILL")
      throw new Error(`process ${pid} did not stop`)
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
