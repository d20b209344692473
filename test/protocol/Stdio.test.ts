/** `deploy-mcp mcp` as agents start it, with the clients of both eras, against our real endpoint. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { tmpdir } from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { type Doors, eventually, startDoors } from "@deploy-mcp/runtime/http/testing/DoorsServer"
import * as New from "@modelcontextprotocol/client"
import { StdioClientTransport as NewStdio } from "@modelcontextprotocol/client/stdio"
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as OldStdio } from "@modelcontextprotocol/sdk/client/stdio.js"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const program = fileURLToPath(new URL("../../bin/deploy-mcp.mjs", import.meta.url))

let doors: Doors
let home: string
beforeAll(async () => {
  doors = await startDoors()
  home = mkdtempSync(path.join(tmpdir(), "deploy-mcp-stdio-"))
})
afterAll(async () => {
  await doors.close()
  rmSync(home, { recursive: true, force: true })
})

const environment = (extra: Record<string, string> = {}) => ({
  PATH: process.env.PATH ?? "",
  HOME: process.env.HOME ?? "",
  DEPLOY_MCP_HOME: home,
  DEPLOY_MCP_PORT: new URL(doors.url).port,
  DEPLOY_MCP_KEY: "dk_live_owner",
  ...extra
})

const server = (args: ReadonlyArray<string> = [], extra: Record<string, string> = {}) => ({
  command: process.execPath,
  args: [program, "mcp", ...args],
  env: environment(extra),
  stderr: "pipe" as const
})

interface CallOptions {
  readonly signal?: AbortSignal
}

const me = { name: "test", version: "0" }

const oldClient = async (...how: Parameters<typeof server>) => {
  const client = new OldClient(me)
  await client.connect(new OldStdio(server(...how)))
  return {
    version: () => client.getServerVersion()?.name,
    tools: () => client.listTools(),
    call: (name: string, args: Record<string, unknown>, options?: CallOptions): Promise<object> =>
      client.callTool({ name, arguments: args }, undefined, options),
    close: () => client.close()
  }
}

const newClient =
  (mode: "auto" | "legacy") =>
  async (...how: Parameters<typeof server>) => {
    const client = new New.Client(me, mode === "auto" ? { versionNegotiation: { mode } } : {})
    await client.connect(new NewStdio(server(...how)))
    assert.strictEqual(
      client.getNegotiatedProtocolVersion(),
      mode === "auto" ? "2026-07-28" : "2025-11-25"
    )
    return {
      version: () => client.getServerVersion()?.name,
      tools: () => client.listTools(),
      call: (name: string, args: Record<string, unknown>, options?: CallOptions): Promise<object> =>
        client.callTool({ name, arguments: args }, options),
      close: () => client.close()
    }
  }

for (const [label, connect] of [
  ["sdk 1.x", oldClient],
  ["client 2.x", newClient("legacy")],
  ["client 2.x, auto", newClient("auto")]
] as const) {
  describe(`MCP over stdio with ${label}`, () => {
    it("lists and calls, several at once, and a cancelled call is interrupted", async () => {
      const client = await connect()
      try {
        assert.strictEqual(client.version(), "deploy-mcp")
        const names = (await client.tools()).tools.map(({ name }) => name)
        assert.include(names, "create_service")
        assert.notInclude(names, "create_key")

        const answer = await client.call("get_service", { name: "web" })
        assert.notProperty(answer, "isError")
        assert.property(answer, "structuredContent")
        assert.include(
          JSON.stringify(await client.call("get_service", { nam: 1 })),
          "unknown_argument"
        )

        const { waiting, interrupted } = doors.seen
        const [started, stopped] = [waiting.length, interrupted.length]
        const abort = new AbortController()
        const ended = client
          .call("wait_for_deployment", { name: "slow" }, { signal: abort.signal })
          .then(
            () => "answered",
            () => "cancelled"
          )
        await eventually("the call runs", () => waiting.length > started)
        // Others go on meanwhile.
        assert.property(await client.call("whoami", {}), "structuredContent")
        abort.abort()
        assert.strictEqual(await ended, "cancelled")
        await eventually("the call is interrupted", () => interrupted.length > stopped)
      } finally {
        await client.close()
      }
    })

    it("may ask for more toolsets", async () => {
      const client = await connect(["--toolsets", "deploy,keys"])
      const names = (await client.tools()).tools.map(({ name }) => name)
      await client.close()
      assert.include(names, "create_key")
    })

    it("is told how to start a platform where none runs", async () => {
      const port = await closedPort()
      const error = await connect([], { DEPLOY_MCP_PORT: String(port) }).then(
        () => undefined,
        (reason: unknown) => reason
      )
      assert.include(String(error), "deploy-mcp up")
    })

    it("is told when the key is wrong", async () => {
      const error = await connect([], { DEPLOY_MCP_KEY: "dk_live_wrong" }).then(
        () => undefined,
        (reason: unknown) => reason
      )
      assert.include(String(error), "revoked")
      assert.notInclude(String(error), "dk_live_wrong")
    })
  })
}

const portOf = (server: Server) => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const closedPort = () =>
  new Promise<number>((resolve) => {
    const listening = createServer().listen(0, "127.0.0.1", () => {
      const port = portOf(listening)
      listening.close(() => resolve(port))
    })
  })

/** The program without a client: each line of its stdout must be a message. */
const startRaw = (url: string) => {
  const child = spawn(process.execPath, [program, "mcp"], {
    env: environment({ DEPLOY_MCP_PORT: new URL(url).port }),
    stdio: ["pipe", "pipe", "pipe"]
  })
  let [out, err] = ["", ""]
  child.stdout.on("data", (chunk) => {
    out += chunk
  })
  child.stderr.on("data", (chunk) => {
    err += chunk
  })
  const messages = () =>
    out
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  return {
    messages,
    err: () => err,
    write: (line: string) => child.stdin.write(`${line}\n`),
    ask: async (id: number, method: string, params: object = {}) => {
      child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`)
      await eventually(`${method} is answered`, () => messages().some((one) => one.id === id))
      return messages().find((one) => one.id === id)
    },
    /** Closes stdin and answers with the exit code. */
    end: () =>
      new Promise<number | null>((resolve) => {
        child.on("close", resolve)
        child.stdin.end()
      }),
    kill: () => child.kill()
  }
}

const initialize = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: me }
const modern = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": me,
  "io.modelcontextprotocol/clientCapabilities": {}
}

describe("the program on its own", () => {
  for (const [revision, meta] of [
    ["2025-11-25", {}],
    ["2026-07-28", modern]
  ] as const) {
    it(`passes progress on, before the answer (${revision})`, async () => {
      const raw = startRaw(doors.url)
      try {
        if (revision === "2025-11-25") await raw.ask(1, "initialize", initialize)
        const before = raw.messages().length
        await raw.ask(2, "tools/call", {
          name: "wait_for_deployment",
          arguments: { name: "web" },
          _meta: { ...meta, progressToken: "p" }
        })
        assert.deepStrictEqual(
          raw
            .messages()
            .slice(before)
            .map(({ id, params }) => id ?? params.message),
          ["web#1: running, build", "web#1: running, start", "web#1: running, route", 2]
        )
      } finally {
        raw.kill()
      }
    })
  }

  it("opens a new session when the platform forgot the old one, and ends with stdin", async () => {
    const brief = await startDoors({ sessions: { perKey: 1, idleMillis: 3_600_000 } })
    const raw = startRaw(brief.url)
    try {
      await raw.ask(1, "initialize", initialize)
      // One session a key: another one pushes ours out.
      const other = await fetch(`${brief.url}/mcp`, {
        method: "POST",
        headers: {
          authorization: "Bearer dk_live_owner",
          "content-type": "application/json",
          accept: "application/json, text/event-stream"
        },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: initialize })
      })
      await other.text()
      assert.property(await raw.ask(2, "tools/list"), "result")
      assert.include(raw.err(), "new one")
      raw.write("no JSON")
      assert.strictEqual(await raw.end(), 0)
      assert.include(raw.err(), "not valid JSON")
      assert.deepStrictEqual(
        raw.messages().map(({ id }) => id),
        [1, 2]
      )
    } finally {
      raw.kill()
      await brief.close()
    }
  })

  it("ends its session when its agent goes", async () => {
    const seen: Array<string> = []
    const platform = createServer((request, response) => {
      seen.push(`${request.method} ${request.headers["mcp-session-id"]}`)
      request.resume()
      response.setHeader("mcp-session-id", "one")
      response.setHeader("content-type", "application/json")
      const result = { protocolVersion: "2025-11-25" }
      response.end(JSON.stringify({ jsonrpc: "2.0", id: 1, result }))
    })
    const port = await new Promise<number>((resolve) => {
      platform.listen(0, "127.0.0.1", () => resolve(portOf(platform)))
    })
    const raw = startRaw(`http://127.0.0.1:${port}`)
    try {
      await raw.ask(1, "initialize", initialize)
      assert.strictEqual(await raw.end(), 0)
      assert.deepStrictEqual(seen, ["POST undefined", "DELETE one"])
    } finally {
      raw.kill()
      platform.closeAllConnections()
      platform.close()
    }
  })
})
