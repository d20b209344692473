/** Every line of README.md that a reader would copy is copied, typed and has to do what is said of it. */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { toolsFor } from "@deploy-mcp/mcp/Catalog"
import { keys } from "@deploy-mcp/mcp/testing/CommandsDouble"
import { Client, StreamableHTTPClientTransport, type Transport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../e2e/Eventually.ts"
import { endOf, root } from "../e2e/Platform.ts"
import { isAlive } from "../e2e/Remains.ts"
import { ask } from "../e2e/Requests.ts"
import { nodeApp } from "../e2e/Samples.ts"
import { makeWorkTree } from "../e2e/WorkTree.ts"
import { type Checkout, makeCheckout, type Started } from "./Checkout.ts"
import { blocksOf, spansOf } from "./Markdown.ts"

const page = readFileSync(join(root, "README.md"), "utf8")
const blocks = blocksOf(page)
const transcript = blocks.find(({ lines }) => lines[0]?.startsWith("✓ platform"))?.lines ?? []
/** Lines of blocks and spans that are commands, without what is said behind them. */
const commands = [...blocks.flatMap(({ lines }) => lines), ...spansOf(page)]
  .map((line) => line.replace(/\s+# .*$/u, ""))
  .filter((line) => /^(npm|npx|claude|curl|deploy-mcp) /u.test(line))

/** The one command that begins so; it counts as tried from now on. */
const line = (start: string): string => {
  const [found, ...others] = [...new Set(commands.filter((one) => one.startsWith(start)))]
  assert(found !== undefined && others.length === 0, `one line begins with ${start}`)
  tried.add(found)
  return found
}
const tried = new Set<string>()

const hasCurl = spawnSync("curl", ["--version"]).status === 0

let checkout: Checkout
let platform: Started | undefined

beforeAll(async () => {
  checkout = await makeCheckout()
})
afterAll(async () => {
  if (platform !== undefined && platform.process.exitCode === null) {
    platform.process.kill("SIGTERM")
    await endOf(platform.process)
  }
  checkout.dispose()
})

const home = () => join(checkout.folder, ".deploy-mcp")
const pidOf = (which: string) => Number(readFileSync(join(home(), `run/${which}.pid`), "utf8"))

describe("a reader of README.md", () => {
  it("tells the story first, on a platform of its own, as the transcript has it", async () => {
    const { code, stdout, stderr } = await checkout.run(line("npm run demo"))
    assert.strictEqual(code, 0, stderr)
    assert.isNotEmpty(transcript)
    const told = stdout.split("\n").filter((one) => /^(✓| {2}remote:)/u.test(one))
    const [before = [], after = []] = aroundEllipsis(transcript.map(shape))
    assert.deepStrictEqual(told.slice(0, before.length).map(shape), before)
    assert.deepStrictEqual(told.slice(-after.length).map(shape), after)
  })

  it("starts the platform and is given the addresses, the key and the line for Claude Code", async () => {
    platform = await checkout.start(line("npm start"), /npx deploy-mcp deploy/u)
    const output = platform.output()
    const key = readFileSync(join(home(), "owner-key"), "utf8").trim()
    assert.include(output, `key        ${key}`)
    const printed = output.split("\n").map((one) => one.trim())
    const [given = ""] = printed.filter((one) => one.startsWith("claude mcp add"))
    assert.strictEqual(
      given.replace(home(), ".deploy-mcp").replace(`${checkout.ports.port}`, "8081"),
      line("claude mcp add --transport http")
    )
  })

  it("adds it to Claude Code, and an agent has every tool that is listed", async () => {
    const { tools, close } = await connect(await overHttp())
    await close()
    const listed = toolsFor(keys.dk_live_owner, ["deploy"]).map(({ name }) => name)
    assert.sameMembers(tools, listed)
    const section = page.slice(page.indexOf("## For agents"), page.indexOf("Names go in"))
    assert.sameMembers(
      spansOf(section).filter((span) => span.includes("_") || span === "whoami"),
      listed
    )
    assert.include(section, `${numbers[listed.length]} tools`)
  })

  it("creates a service by the call at the top, and it is live", async () => {
    const [call, answer] = (blocks[0]?.lines[0] ?? "").split(/\s+→\s+/u)
    const [, tool = "", given = ""] = /^(\w+)\((.*)\)$/u.exec(call ?? "") ?? []
    const args = Object.fromEntries(
      [...given.matchAll(/(\w+)="([^"]*)"/gu)].map(([, name, value]) => [name, value])
    )
    const agent = await connect(await overHttp())
    const tree = await makeWorkTree(checkout.folder)
    await tree.commit(nodeApp("first"))
    await agent.call("create_repo", { name: args.repo })
    const { push_url } = await agent.call("get_git_token", { name: args.repo })
    const pushed = await tree.push(String(push_url))
    assert.strictEqual(pushed.code, 0, pushed.output)
    const made = await agent.call(tool, args)
    const ended = await agent.call("wait_for_deployment", { name: String(args.name) })
    await agent.close()
    assert.strictEqual(
      `${ended.url} is ${ended.status}`,
      withPorts(answer ?? ""),
      JSON.stringify(made)
    )
    const host = new URL(String(ended.url)).host
    assert.strictEqual((await ask({ port: checkout.ports.appsPort, host })).body, "first ")
  })

  it("has the tools for keys by the address that is named", async () => {
    const [, asked = ""] = /`(\?toolsets=[^`]+)`/u.exec(page) ?? []
    const { tools, close } = await connect(await overHttp(asked))
    await close()
    assert.includeMembers(tools, ["whoami", "create_key"])
  })

  it("adds it to an agent that starts its servers itself", async () => {
    const args = await checkout.claude(line("claude mcp add --env"))
    const [, , ...rest] = args
    const end = rest.indexOf("--")
    const flags = rest.slice(0, end)
    assert.strictEqual(flags[flags.indexOf("--transport") + 1], "stdio")
    const env = Object.fromEntries([String(flags[flags.indexOf("--env") + 1]).split("=")])
    const [command = "", ...more] = rest.slice(end + 1)
    const { PATH = "" } = process.env
    const agent = await connect(
      new StdioClientTransport({
        command,
        args: more,
        env: { PATH, DEPLOY_MCP_PORT: `${checkout.ports.port}`, ...env },
        stderr: "ignore"
      })
    )
    const answer = await agent.call("list_services", {})
    await agent.close()
    assert.include(JSON.stringify(answer), '"name":"my-saas"')
  })

  if (!hasCurl) it.skip("asks with curl, which is not installed here")
  else {
    it("asks the same tools without MCP", async () => {
      const { code, stdout, stderr } = await checkout.run(line("curl"))
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(JSON.parse(stdout).result.services[0].name, "my-saas")
    })
  }

  it("deploys a folder", async () => {
    const command = line("npx deploy-mcp deploy")
    const folder = command.split(" ").at(-1) ?? ""
    for (const [file, text] of Object.entries(nodeApp("mine"))) {
      checkout.write(join(folder, file), text)
    }
    const { code, stdout, stderr } = await checkout.run(command)
    assert.strictEqual(code, 0, stderr)
    const [, url = ""] = /live {2}(\S+)/u.exec(stdout) ?? []
    const { host } = new URL(url)
    assert.strictEqual((await ask({ port: checkout.ports.appsPort, host })).body, "mine ")
  })

  it("is told by doctor and whoami what holds, and by --help what there is", async () => {
    const { stdout } = await checkout.run(line("npx deploy-mcp doctor"))
    assert.include(stdout, "git")
    const help = await checkout.run(line("npx deploy-mcp --help"))
    assert.strictEqual(help.code, 0)
    for (const name of ["up", "deploy", "logs", "migrate"]) assert.include(help.stdout, name)
  })

  it("finds every address of the contract", async () => {
    const paths = spansOf(page).filter((span) => /^\/[a-z]+z$|^\/metrics$/u.test(span))
    assert.sameMembers(paths, ["/livez", "/readyz", "/metrics"])
    for (const path of paths) {
      const { status } = await ask({ port: checkout.ports.port, host: "127.0.0.1", path })
      assert.strictEqual(status, 200, path)
    }
  })

  it("stops both processes with SIGTERM of npm start", async () => {
    assert(platform !== undefined)
    const pids = [pidOf("control"), pidOf("edge")]
    platform.process.kill("SIGTERM")
    await eventually("both have ended", () => !pids.some(isAlive))
    assert.isFalse(existsSync(join(home(), "run/control.pid")))
  })

  it("has been through every command but those that others try", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    // Tests of their own run these: test/launcher.test.ts, test/e2e/{Postgres,Replay}.test.ts.
    const elsewhere = ["npm test", "deploy-mcp migrate", "deploy-mcp replay <service>#<n>"]
    if (!hasCurl) line("curl")
    assert.property(scripts, "test")
    assert.sameMembers([...new Set(commands)], [...tried, ...elsewhere])
  })
})

const withPorts = (text: string) => text.replace("8080", `${checkout.ports.appsPort}`)

const numbers: Readonly<Record<number, string>> = {
  19: "Nineteen",
  20: "Twenty",
  21: "Twenty-one",
  22: "Twenty-two",
  23: "Twenty-three",
  24: "Twenty-four",
  25: "Twenty-five"
}

/** A line of the transcript without what differs each time: numbers, names, times and the space for them. */
const shape = (text: string): string =>
  text
    .replace(/internal\/[a-z]+-[a-z]+\//u, "internal/…/")
    .replace(/home \S+/u, "home …")
    .replace(/until \S+/u, "until …")
    .replaceAll(/\d+/gu, "0")
    .replaceAll(/\s+/gu, " ")
    .trim()

/** What stands before the line that is left out, and behind it. */
const aroundEllipsis = (lines: ReadonlyArray<string>) => {
  const at = lines.indexOf("…")
  return [lines.slice(0, at), lines.slice(at + 1)]
}

/** The transport of the line for Claude Code: its address and its header. */
const overHttp = async (search = ""): Promise<Transport> => {
  const args = await checkout.claude(line("claude mcp add --transport http"))
  const url = new URL(`${args.find((one) => one.startsWith("http://"))}${search}`)
  const [name = "", value = ""] = (args[args.indexOf("--header") + 1] ?? "").split(": ")
  return new StreamableHTTPClientTransport(url, { requestInit: { headers: { [name]: value } } })
}

const connect = async (transport: Transport) => {
  const client = new Client({ name: "reader", version: "0" })
  await client.connect(transport)
  return {
    tools: (await client.listTools()).tools.map(({ name }) => name),
    call: async (name: string, args: Record<string, unknown>): Promise<Record<string, unknown>> => {
      const { content, isError } = await client.callTool({ name, arguments: args })
      const [first] = content
      assert(first?.type === "text" && isError !== true, JSON.stringify(content))
      return JSON.parse(first.text)
    },
    close: () => client.close()
  }
}
