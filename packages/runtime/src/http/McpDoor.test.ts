/** Real clients of both eras against a real server: whatever passes here is on the wire. */
import { request as httpRequest } from "node:http"
import { toolsFor } from "@deploy-mcp/mcp/Catalog"
import { defaultToolsets } from "@deploy-mcp/mcp/Toolsets"
import { keys } from "@deploy-mcp/mcp/testing/CommandsDouble"
import * as New from "@modelcontextprotocol/client"
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Doors, eventually, startDoors } from "./testing/DoorsServer.ts"

let doors: Doors
beforeAll(async () => {
  doors = await startDoors()
})
afterAll(() => doors.close())

/** An answer's text, and the rest of it. */
interface Answer {
  readonly text: string
  readonly isError?: unknown
  readonly structuredContent?: unknown
}

const answerOf = async (answered: Promise<object>): Promise<Answer> => {
  const answer = await answered
  const content = "content" in answer && Array.isArray(answer.content) ? answer.content : []
  return { ...answer, text: content[0]?.text }
}

/** What the tests need of a client, whichever it is. */
interface AnyClient {
  readonly version: () => string | undefined
  readonly instructions: () => string | undefined
  readonly tools: () => Promise<ReadonlyArray<string>>
  readonly call: (
    name: string,
    args: Record<string, unknown>,
    options?: {
      onprogress?: (progress: { progress: number; message?: string | undefined }) => void
      signal?: AbortSignal
    }
  ) => Promise<Answer>
  readonly close: () => Promise<void>
}

const headers = (key: string) => ({ requestInit: { headers: { authorization: `Bearer ${key}` } } })
const endpoint = () => new URL(`${doors.url}/mcp`)
const me = { name: "test", version: "0" }

const oldClient = async (key: string): Promise<AnyClient> => {
  const client = new OldClient(me)
  const transport = new OldTransport(endpoint(), headers(key))
  await client.connect(transport)
  return {
    version: () => transport.protocolVersion,
    instructions: () => client.getInstructions(),
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: (name, args, options) =>
      answerOf(client.callTool({ name, arguments: args }, undefined, options)),
    close: async () => {
      await transport.terminateSession()
      await client.close()
    }
  }
}

const newClient =
  (mode: "auto" | "legacy") =>
  async (key: string): Promise<AnyClient> => {
    const client = new New.Client(me, mode === "auto" ? { versionNegotiation: { mode } } : {})
    const transport = new New.StreamableHTTPClientTransport(endpoint(), headers(key))
    await client.connect(transport)
    return {
      version: () => client.getNegotiatedProtocolVersion(),
      instructions: () => client.getInstructions(),
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      call: (name, args, options) => answerOf(client.callTool({ name, arguments: args }, options)),
      close: async () => {
        if (mode === "legacy") await transport.terminateSession()
        await client.close()
      }
    }
  }

const errorOf = (answer: Answer) => {
  assert.strictEqual(answer.isError, true)
  assert.isUndefined(answer.structuredContent)
  return JSON.parse(answer.text).error
}

for (const [label, connect, version] of [
  ["sdk 1.x", oldClient, "2025-11-25"],
  ["client 2.x", newClient("legacy"), "2025-11-25"],
  ["client 2.x, auto", newClient("auto"), "2026-07-28"]
] as const) {
  describe(`MCP with ${label}`, () => {
    const within = async (use: (client: AnyClient) => Promise<void>, key = "dk_live_owner") => {
      const client = await connect(key)
      try {
        await use(client)
      } finally {
        await client.close()
      }
    }

    it("speaks the revision it should and is told how to begin", () =>
      within(async (client) => {
        assert.strictEqual(client.version(), version)
        assert.include(client.instructions(), "create_service")
      }))

    it("lists the tools of its key and calls one", async () => {
      await within(async (client) => {
        const tools = await client.tools()
        const known = toolsFor(keys.dk_live_owner, defaultToolsets).map(({ name }) => name)
        assert.deepStrictEqual(tools, known)
        assert.notInclude(tools, "create_key")
        for (const name of ["whoami", "list_services"]) {
          const answer = await client.call(name, {})
          assert.deepStrictEqual(JSON.parse(answer.text), answer.structuredContent)
        }
        // The client checks these against the advertised output schema.
        for (const name of ["get_service", "wait_for_deployment", "list_deployments", "get_logs"]) {
          assert.isDefined((await client.call(name, { name: "web" })).structuredContent)
        }
      })
      await within(async (client) => {
        const tools = await client.tools()
        const known = toolsFor(keys.dk_live_reader, defaultToolsets).map(({ name }) => name)
        assert.deepStrictEqual(tools, known)
        assert.include(tools, "get_service")
        assert.notInclude(tools, "delete_service")
        const error = errorOf(await client.call("delete_service", { name: "web" }))
        assert.strictEqual(error.code, "forbidden")
      }, "dk_live_reader")
    })

    it("gets failures from our catalogue, for bad arguments too", () =>
      within(async (client) => {
        await client.tools()
        const missing = errorOf(await client.call("get_service", { name: "nope" }))
        assert.strictEqual(missing.code, "not_found")
        assert.isString(missing.next)
        const unknown = errorOf(await client.call("get_service", { name: "web", nam: 1 }))
        assert.strictEqual(unknown.code, "unknown_argument")
        const invalid = errorOf(await client.call("create_service", { repo: "web", name: "W!" }))
        assert.strictEqual(invalid.code, "invalid_argument")
        const bug = errorOf(await client.call("get_service", { name: "broken" }))
        assert.strictEqual(bug.code, "internal")
        assert.notInclude(JSON.stringify(bug), "secret inside")
      }))

    it("a tool that does not exist is a protocol error", () =>
      within(async (client) => {
        const error = await client.call("get_servce", { name: "web" }).then(
          () => undefined,
          (reason: unknown) => reason
        )
        assert.include(String(error), "get_service")
        const keys = await client.call("list_keys", {}).then(
          () => undefined,
          (reason: unknown) => reason
        )
        assert.include(String(keys), "no such tool")
      }))

    it("hears of progress, ever rising", () =>
      within(async (client) => {
        const heard: Array<{ progress: number; message?: string | undefined }> = []
        const answer = await client.call(
          "wait_for_deployment",
          { name: "web" },
          { onprogress: (notice) => heard.push(notice) }
        )
        assert.isUndefined(answer.isError)
        assert.deepStrictEqual(
          heard.map(({ message }) => message),
          ["web#1: running, build", "web#1: running, start", "web#1: running, route"]
        )
        const steps = heard.map(({ progress }) => progress)
        assert.deepStrictEqual(
          steps,
          [...new Set(steps)].sort((a, b) => a - b)
        )
      }))

    it("deletes, with and without the name again", () =>
      within(async (client) => {
        const before = doors.seen.removed.length
        assert.isUndefined((await client.call("delete_service", { name: "web" })).isError)
        await client.call("delete_service", { name: "web", confirm: "web" })
        assert.strictEqual(
          errorOf(await client.call("delete_service", { name: "web", confirm: "x" })).code,
          "invalid_argument"
        )
        assert.strictEqual(doors.seen.removed.length - before, 2)
      }))

    it("a call that the client cancels is interrupted", () =>
      within(async (client) => {
        const { waiting, interrupted } = doors.seen
        const [started, stopped] = [waiting.length, interrupted.length]
        const abort = new AbortController()
        const call = client.call("wait_for_deployment", { name: "slow" }, { signal: abort.signal })
        const ended = call.then(
          () => "answered",
          () => "cancelled"
        )
        await eventually("the call runs", () => waiting.length > started)
        abort.abort()
        assert.strictEqual(await ended, "cancelled")
        await eventually("the call is interrupted", () => interrupted.length > stopped)
      }))

    it("no key and a wrong key are refused", async () => {
      for (const key of ["", "dk_live_wrong"]) {
        const error = await connect(key).then(
          () => undefined,
          (reason: unknown) => reason
        )
        assert.isDefined(error)
      }
    })
  })
}

const post = (body: unknown, extra: Record<string, string> = {}) =>
  fetch(endpoint(), {
    method: "POST",
    headers: {
      authorization: "Bearer dk_live_owner",
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...extra
    },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })

const failureIn = async (response: Response) => JSON.parse(await response.text()).error

const initialize = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: me }
}
const list = { jsonrpc: "2.0", id: 2, method: "tools/list" }

/** The request headers that `fetch` does not let one set. */
const raw = (extra: Record<string, string>) =>
  new Promise<number>((resolve, reject) => {
    const sent = httpRequest(
      endpoint(),
      { method: "POST", headers: { authorization: "Bearer dk_live_owner", ...extra } },
      (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      }
    )
    sent.on("error", reject)
    sent.end("{}")
  })

describe("MCP on the wire", () => {
  it("401 carries a challenge and our failure", async () => {
    const none = await fetch(endpoint(), { method: "POST", body: "{}" })
    assert.strictEqual(none.status, 401)
    assert.strictEqual(none.headers.get("www-authenticate"), 'Bearer realm="deploy-mcp"')
    const wrong = await post(list, { authorization: "Bearer dk_live_wrong" })
    assert.strictEqual(wrong.status, 401)
    assert.include(wrong.headers.get("www-authenticate"), 'error="invalid_token"')
    assert.strictEqual((await failureIn(wrong)).code, "unauthorized")
  })

  it("a foreign Host or Origin is refused, a configured one is not", async () => {
    assert.strictEqual(await raw({ host: "evil.example" }), 403)
    assert.strictEqual(await raw({ origin: "http://web.localhost:8080" }), 403)
    assert.notStrictEqual(
      await raw({ host: "deploy.example", origin: "https://deploy.example" }),
      403
    )
  })

  it("a session answers the key that opened it and no other, until it is deleted", async () => {
    const opened = await post(initialize)
    assert.strictEqual(opened.status, 200)
    assert.include(await opened.text(), '"protocolVersion":"2025-06-18"')
    const id = opened.headers.get("mcp-session-id") ?? ""
    const session = { "mcp-session-id": id, "mcp-protocol-version": "2025-06-18" }
    const own = await post(list, session)
    assert.strictEqual(own.status, 200)
    assert.include(await own.text(), "create_service")
    const other = await post(list, { ...session, authorization: "Bearer dk_live_other" })
    assert.strictEqual(other.status, 404)
    const deleted = await fetch(endpoint(), {
      method: "DELETE",
      headers: { authorization: "Bearer dk_live_owner", ...session }
    })
    assert.strictEqual(deleted.status, 200)
    assert.strictEqual((await post(list, session)).status, 404)
  })

  it("the stream of a session opens at once", async () => {
    const opened = await post(initialize)
    await opened.text()
    const abort = new AbortController()
    const stream = await fetch(endpoint(), {
      headers: {
        authorization: "Bearer dk_live_owner",
        accept: "text/event-stream",
        "mcp-session-id": opened.headers.get("mcp-session-id") ?? ""
      },
      signal: abort.signal
    })
    assert.strictEqual(stream.status, 200)
    const first = await stream.body?.getReader().read()
    assert.strictEqual(new TextDecoder().decode(first?.value), ": open\n\n")
    abort.abort()
  })

  it("a request without a session is told to initialize", async () => {
    const answer = await post(list)
    assert.strictEqual(answer.status, 400)
    assert.include((await failureIn(answer)).next, "initialize")
  })

  it("bodies that are no JSON, or too long, are refused in our form", async () => {
    const broken = await post("{")
    assert.strictEqual(broken.status, 400)
    assert.strictEqual((await failureIn(broken)).code, "invalid_argument")
    const long = await post(JSON.stringify({ text: "x".repeat(5 * 1024 * 1024) }))
    assert.strictEqual(long.status, 413)
    assert.strictEqual((await failureIn(long)).code, "request_too_large")
  })

  for (const [label, extra] of [
    ["2025", {}],
    ["2026", { "mcp-protocol-version": "2026-07-28" }]
  ] as const) {
    it(`a client of ${label} that hangs up interrupts its call`, async () => {
      const { waiting, interrupted } = doors.seen
      const [started, stopped] = [waiting.length, interrupted.length]
      const modern = label === "2026"
      const opened = modern ? undefined : await post(initialize)
      await opened?.text()
      const abort = new AbortController()
      const call = fetch(endpoint(), {
        method: "POST",
        signal: abort.signal,
        headers: {
          authorization: "Bearer dk_live_owner",
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          ...(modern
            ? { "mcp-method": "tools/call", "mcp-name": "wait_for_deployment" }
            : { "mcp-session-id": opened?.headers.get("mcp-session-id") ?? "" }),
          ...extra
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 9,
          method: "tools/call",
          params: {
            name: "wait_for_deployment",
            arguments: { name: "slow" },
            ...(modern
              ? {
                  _meta: {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": me,
                    "io.modelcontextprotocol/clientCapabilities": {}
                  }
                }
              : {})
          }
        })
      }).then(
        (response) => response.text(),
        () => undefined
      )
      call.catch(() => undefined)
      await eventually("the call runs", () => waiting.length > started)
      abort.abort()
      await eventually("the call is interrupted", () => interrupted.length > stopped)
    })
  }
})
