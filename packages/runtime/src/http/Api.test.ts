import { request as httpRequest } from "node:http"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Doors, eventually, startDoors } from "./testing/DoorsServer.ts"

let doors: Doors
beforeAll(async () => {
  doors = await startDoors()
})
afterAll(() => doors.close())

const call = async (tool: string, args?: unknown, key = "dk_live_owner") => {
  const response = await fetch(`${doors.url}/api/v1/${tool}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    ...(args === undefined ? {} : { body: typeof args === "string" ? args : JSON.stringify(args) })
  })
  return {
    status: response.status,
    headers: response.headers,
    body: JSON.parse(await response.text())
  }
}

describe("the same tools over HTTP", () => {
  it("answer with a result", async () => {
    const { status, body } = await call("get_service", { name: "web" })
    assert.strictEqual(status, 200)
    assert.strictEqual(body.result.status, "live")
    assert.strictEqual((await call("whoami")).body.result.owner, "awake-dassie")
  })

  it("include those for keys", async () => {
    assert.deepStrictEqual((await call("list_keys")).body, { result: { keys: [] } })
    assert.strictEqual((await call("list_keys", {}, "dk_live_reader")).status, 403)
  })

  it("answer with a failure and a fitting status", async () => {
    for (const [tool, args, status, code] of [
      ["get_service", { name: "nope" }, 404, "not_found"],
      ["get_service", { name: "BAD" }, 400, "invalid_argument"],
      ["get_service", { name: "web", x: 1 }, 400, "unknown_argument"],
      ["get_service", "{", 400, "invalid_argument"],
      ["create_service", { repo: "web", name: "taken" }, 409, "name_taken"],
      ["get_service", { name: "broken" }, 500, "internal"],
      ["get_servic", {}, 404, "not_found"],
      ["whoami", { pad: "x".repeat(5 * 1024 * 1024) }, 413, "request_too_large"]
    ] as const) {
      const { status: got, body } = await call(tool, args)
      assert.deepStrictEqual([got, body.error.code], [status, code], tool)
      assert.isString(body.error.next)
    }
    assert.strictEqual((await call("name_taken_is_a_code", {})).body.error.code, "not_found")
  })

  it("need a key", async () => {
    const { status, headers, body } = await call("whoami", {}, "dk_live_wrong")
    assert.deepStrictEqual([status, body.error.code], [401, "unauthorized"])
    assert.include(headers.get("www-authenticate"), "invalid_token")
  })

  it("refuse a foreign Host", async () => {
    const status = await new Promise((resolve, reject) => {
      const sent = httpRequest(
        `${doors.url}/api/v1/whoami`,
        {
          method: "POST",
          headers: { host: "evil.example", authorization: "Bearer dk_live_owner" }
        },
        (response) => {
          response.resume()
          resolve(response.statusCode)
        }
      )
      sent.on("error", reject)
      sent.end()
    })
    assert.strictEqual(status, 403)
  })

  it("GET says how to call", async () => {
    const response = await fetch(`${doors.url}/api/v1/whoami`, {
      headers: { authorization: "Bearer dk_live_owner" }
    })
    assert.strictEqual(response.status, 400)
    assert.include(await response.text(), "POST /api/v1/whoami")
  })
})

const logs = (path: string, signal?: AbortSignal) =>
  fetch(`${doors.url}/api/v1/services/${path}`, {
    headers: { authorization: "Bearer dk_live_owner" },
    ...(signal ? { signal } : {})
  })

describe("logs over HTTP", () => {
  it("end after the present lines", async () => {
    const response = await logs("web/logs?tail=1")
    assert.include(response.headers.get("content-type"), "application/x-ndjson")
    const lines = (await response.text()).trim().split("\n")
    assert.deepStrictEqual(
      lines.map((line) => JSON.parse(line)),
      [{ seq: 1, at: "2026-01-01T00:00:00.001Z", stream: "stdout", text: "line 1" }]
    )
  })

  it("are searched, by text that may look like a number", async () => {
    const found = async (query: string) => (await logs(`web/logs?${query}`)).text()
    assert.match(await found("contains=LINE%201"), /^\{.*"text":"line 1"\}\n$/u)
    assert.match(await found("contains=1"), /^\{.*"text":"line 1"\}\n$/u)
    assert.match(await found("since=2026-01-01T00:00:00.001Z"), /^\{.*"text":"line 1"\}\n$/u)
    const wrong = await logs("web/logs?since=lunch")
    assert.strictEqual(wrong.status, 400)
    assert.include(await wrong.text(), "15m")
  })

  it("follow until the reader leaves", async () => {
    const abort = new AbortController()
    const { waiting, interrupted } = doors.seen
    const stopped = interrupted.length
    const response = await logs("web/logs?follow=true", abort.signal)
    assert.strictEqual(response.status, 200)
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ""
    while (text.split("\n").length < 3) text += (await reader?.read())?.value ?? ""
    assert.include(text, "line 1")
    await eventually("the stream waits", () => waiting.length > 0)
    abort.abort()
    await reader?.cancel().catch(() => undefined)
    await eventually("the stream is interrupted", () => interrupted.length > stopped)
  })

  it("open at once, also when nothing was printed yet", async () => {
    const abort = new AbortController()
    const response = await logs("slow/logs?follow=true", abort.signal)
    assert.strictEqual(response.status, 200)
    abort.abort()
  })

  it("of what does not exist are a status, not a line", async () => {
    assert.strictEqual((await logs("nope/logs?follow=true")).status, 404)
    const bad = await logs("web/logs?tial=5")
    assert.strictEqual(bad.status, 400)
    assert.include(await bad.text(), "'tail' instead of 'tial'")
  })
})
