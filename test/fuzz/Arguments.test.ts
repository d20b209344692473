/** Arguments of every tool, over both doors: what is wrong with them is named, by its field and rule. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { allTools } from "@deploy-mcp/mcp/Catalog"
import * as Owner from "@deploy-mcp/runtime/commands/FirstOwner"
import { testing } from "@deploy-mcp/runtime/compositions/testing"
import * as Api from "@deploy-mcp/runtime/http/Api"
import * as McpDoor from "@deploy-mcp/runtime/http/McpDoor"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, ManagedRuntime } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as fc from "fast-check"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { holds, patience } from "./Law.ts"
import { word } from "./Words.ts"

const home = mkdtempSync(join(tmpdir(), "fuzz-arguments-"))
const runtime = ManagedRuntime.make(
  HttpRouter.serve(Layer.merge(Api.layer(), McpDoor.layer({ version: "0.0.0-test" })), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })),
    Layer.provideMerge(Owner.layer),
    Layer.provideMerge(testing(home))
  )
)
let url = ""
let key = ""
beforeAll(async () => {
  const start = Effect.all([HttpServer.HttpServer, Owner.FirstOwner])
  const [{ address }, { keyFile }] = await runtime.runPromise(start)
  url = `http://127.0.0.1:${"port" in address ? address.port : 0}`
  key = readFileSync(keyFile ?? "", "utf8").trim()
})
afterAll(async () => {
  await runtime.dispose()
  rmSync(home, { recursive: true, force: true })
})

const post = async (path: string, body: string) => {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      accept: "application/json, text/event-stream",
      "content-type": "application/json"
    },
    body
  })
  return { status: response.status, text: await response.text() }
}

const value = fc.oneof(
  { weight: 4, arbitrary: word },
  { weight: 2, arbitrary: fc.constantFrom("web", "main", "default", "my-saas", "web#1", "local") },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 0, 1, 1e308, 0.5, null, true, [], {}) }
)

/** A call with the tool's own names for arguments, and now and then another one. */
const tools = allTools.filter(
  // They take away what the test asks with, or wait for what takes its time.
  ({ name }) => name !== "revoke_key" && name !== "wait_for_deployment"
)
const call = fc.constantFrom(...tools).chain((tool) => {
  const known = Object.keys(tool.inputSchema.properties ?? {})
  const name = fc.oneof(
    { weight: 9, arbitrary: known.length === 0 ? word : fc.constantFrom(...known) },
    { weight: 1, arbitrary: word }
  )
  return fc.record({
    tool: fc.constant(tool.name),
    args: fc.oneof(
      { weight: 9, arbitrary: fc.dictionary(name, value, { maxKeys: 6 }) },
      { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) }
    )
  })
})

/** Null: it names what is wrong. */
const silence = (error: { code: string; cause: string; next: string }): string | null => {
  if (error.code === "internal") return "internal"
  if (!error.cause || !error.next) return "no cause or no next step"
  if (error.code !== "invalid_argument" && error.code !== "unknown_argument") return null
  return /'[^']*'|one JSON object|^[a-z_]+[.:]? /u.test(error.cause) ? null : "names no field"
}

describe("arguments", () => {
  it(
    "of a program are taken, or refused with field and rule",
    () =>
      holds(call, async ({ args, tool }) => {
        const { status, text } = await post(`/api/v1/${tool}`, JSON.stringify(args))
        const { error, result } = JSON.parse(text)
        assert.isBelow(status, 500, text)
        if (status === 200) assert.isObject(result)
        else assert.isNull(silence(error), text)
      }),
    patience
  )

  it(
    "of an agent are taken, or refused with field and rule",
    () =>
      holds(call, async ({ args, tool }) => {
        const { status, text } = await post(
          "/mcp",
          JSON.stringify({
            jsonrpc: "2.0",
            id: 1,
            method: "tools/call",
            params: { name: tool, arguments: args }
          })
        )
        assert.isBelow(status, 500, text)
        assert.notInclude(text, "-32603", text)
        assert.notInclude(text, '"code":"internal"', text)
      }),
    patience
  )

  it(
    "that are no JSON are refused by both doors",
    () =>
      holds(fc.oneof(word, fc.json()), async (body) => {
        for (const path of ["/api/v1/get_service", "/mcp"]) {
          const { status, text } = await post(path, body)
          assert.isBelow(status, 500, text)
        }
      }),
    patience
  )

  it(
    "of no tool at all are refused",
    () =>
      holds(word, async (tool) => {
        const { status, text } = await post(
          `/api/v1/${encodeURIComponent(tool.toWellFormed())}`,
          "{}"
        )
        assert.oneOf(status, [400, 404, 431], text)
      }),
    patience
  )
})
