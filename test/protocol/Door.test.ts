/** What an address may ask for, what browsers need, and how long a session lasts: all over HTTP. */
import * as Catalog from "@deploy-mcp/mcp/Catalog"
import { defaultToolsets, servedToolsets } from "@deploy-mcp/mcp/Toolsets"
import { keys } from "@deploy-mcp/mcp/testing/CommandsDouble"
import { type Doors, startDoors } from "@deploy-mcp/runtime/http/testing/DoorsServer"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

let doors: Doors
beforeAll(async () => {
  doors = await startDoors()
})
afterAll(() => doors.close())

const me = { name: "test", version: "0" }
const authorization = "Bearer dk_live_owner"

const tools = async (query: string, mode: "auto" | "legacy") => {
  const client = new Client(me, mode === "auto" ? { versionNegotiation: { mode } } : {})
  const url = new URL(`${doors.url}/mcp${query}`)
  await client.connect(
    new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization } } })
  )
  const names = (await client.listTools()).tools.map(({ name }) => name)
  await client.close()
  return names
}

const post = (body: unknown, headers: Record<string, string> = {}, query = "", { url } = doors) =>
  fetch(`${url}/mcp${query}`, {
    method: "POST",
    headers: {
      authorization,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers
    },
    body: JSON.stringify(body)
  })

const initialize = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: me }
}
const list = { jsonrpc: "2.0", id: 2, method: "tools/list" }

describe("toolsets", () => {
  for (const mode of ["legacy", "auto"] as const) {
    it(`an address may ask for more, in the order of the catalogue (${mode})`, async () => {
      const short = await tools("", mode)
      assert.notInclude(short, "create_key")
      assert.deepStrictEqual(await tools("?toolsets=deploy", mode), short)
      const both = await tools("?toolsets=keys,deploy", mode)
      assert.deepStrictEqual(
        both,
        Catalog.toolsFor(keys.dk_live_owner, servedToolsets).map(({ name }) => name)
      )
      assert.include(both, "create_key")
      assert.deepStrictEqual(await tools("?toolsets=all", mode), both)
      const only = await tools("?toolsets=keys", mode)
      assert.deepStrictEqual(
        only,
        both.filter((name) => !short.includes(name))
      )
    })
  }

  it("a tool outside of them cannot be called", async () => {
    const opened = await post(initialize)
    await opened.text()
    const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" }
    const call = { jsonrpc: "2.0", id: 3, method: "tools/call", params: { name: "list_keys" } }
    assert.include(await (await post(call, session)).text(), "no such tool")
    assert.notInclude(await (await post(call, session, "?toolsets=keys")).text(), "no such tool")
  })

  it("an unknown one is refused by name, with the list", async () => {
    const answer = await post(initialize, {}, "?toolsets=deploy,pods")
    assert.strictEqual(answer.status, 400)
    const { error } = JSON.parse(await answer.text())
    assert.strictEqual(error.code, "invalid_argument")
    assert.include(error.evidence.join(), "deploy, keys")
  })

  it("every tool is in one that can be asked for", () => {
    const unserved = Catalog.allTools.filter(({ toolset }) => !servedToolsets.includes(toolset))
    assert.deepStrictEqual(unserved, [])
  })

  it("the default is short enough for every client", () => {
    assert.isAtMost(Catalog.toolsFor(keys.dk_live_owner, defaultToolsets).length, 25)
  })
})

describe("browsers", () => {
  const preflight = (origin: string) =>
    fetch(`${doors.url}/mcp`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,mcp-protocol-version"
      }
    })

  it("a page of an allowed origin may call, without a key in the question ahead", async () => {
    const origin = "https://deploy.example"
    const answer = await preflight(origin)
    assert.strictEqual(answer.status, 204)
    assert.strictEqual(answer.headers.get("access-control-allow-origin"), origin)
    assert.include(answer.headers.get("access-control-allow-headers"), "Authorization")
    assert.include(answer.headers.get("access-control-allow-headers"), "Mcp-Method")
    assert.include(answer.headers.get("access-control-allow-methods"), "DELETE")
    assert.isNull(answer.headers.get("access-control-allow-credentials"))
  })

  it("it may read answers, their session and the challenge", async () => {
    const origin = "http://localhost:6274"
    for (const [status, key] of [
      [200, authorization],
      [401, "Bearer dk_live_wrong"]
    ] as const) {
      const answer = await post(initialize, { origin, authorization: key })
      await answer.text()
      assert.strictEqual(answer.status, status)
      assert.strictEqual(answer.headers.get("access-control-allow-origin"), origin)
      assert.include(answer.headers.get("vary"), "Origin")
      const exposed = answer.headers.get("access-control-expose-headers") ?? ""
      for (const name of ["WWW-Authenticate", "Mcp-Session-Id"]) assert.include(exposed, name)
    }
  })

  it("a page of any other origin may neither call nor read the refusal", async () => {
    for (const answer of [
      await preflight("https://evil.example"),
      await post(initialize, { origin: "https://evil.example" })
    ]) {
      assert.strictEqual(answer.status, 403)
      assert.isNull(answer.headers.get("access-control-allow-origin"))
    }
  })

  it("who is no browser is told nothing of origins", async () => {
    const answer = await post(initialize)
    await answer.text()
    assert.isNull(answer.headers.get("access-control-allow-origin"))
  })
})

describe("an idle session", () => {
  it("ends: its stream closes and its id is unknown", async () => {
    const brief = await startDoors({ sessions: { perKey: 2, idleMillis: 2000 } })
    try {
      const opened = await post(initialize, {}, "", brief)
      await opened.text()
      const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" }
      const stream = await fetch(`${brief.url}/mcp`, {
        headers: { authorization, accept: "text/event-stream", ...session }
      })
      assert.strictEqual(stream.status, 200)
      // Read to its end, which only the server can bring about.
      assert.strictEqual(await stream.text(), ": open\n\n")
      const late = await post(list, session, "", brief)
      assert.strictEqual(late.status, 404)
      const { error } = JSON.parse(await late.text())
      assert.include(error.next, "Initialize")
    } finally {
      await brief.close()
    }
  })
})
