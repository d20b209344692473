import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Principal } from "@deploy-mcp/domain/model/Principal"
import { Audit } from "@deploy-mcp/mcp/Audit"
import { findTool } from "@deploy-mcp/mcp/Catalog"
import { Progress, silent } from "@deploy-mcp/mcp/Progress"
import { callTool } from "@deploy-mcp/mcp/Tool"
import * as Double from "@deploy-mcp/mcp/testing/CommandsDouble"
import { Effect, Logger } from "effect"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import * as AuditLog from "./AuditLog.ts"

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "deploy-mcp-audit-"))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const lines = (file: string) =>
  readFileSync(join(home, "logs", file), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))

describe("the audit log", () => {
  it("has who called what and how it ended, and no arguments", async () => {
    const call = (name: string, args: unknown) => {
      const tool = findTool(name, ["deploy"])
      return tool === undefined ? Effect.die(name) : Effect.exit(callTool(tool, args))
    }
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* call("get_service", { name: "web" })
        yield* call("get_service", { name: "a-secret" })
        yield* call("get_service", { "another-secret": 1 })
        yield* call("get_service", { name: "broken" })
      }).pipe(
        Effect.provideService(Principal, Double.keys.dk_live_owner),
        Effect.provideService(Progress, silent),
        Effect.provide([Double.layer(), AuditLog.layer(home), Logger.layer([])])
      )
    )
    const written = lines("audit.ndjson")
    assert.deepStrictEqual(
      written.map(({ tool, outcome }) => [tool, outcome]),
      ["ok", "not_found", "unknown_argument", "internal"].map((outcome) => ["get_service", outcome])
    )
    for (const { owner, key, at, millis } of written) {
      assert.strictEqual(owner, "awake-dassie")
      assert.match(key, /^key_owner/u)
      assert.isFalse(Number.isNaN(Date.parse(at)))
      assert.isAtLeast(millis, 0)
    }
    assert.notInclude(JSON.stringify(written), "secret")
    assert.strictEqual(statSync(join(home, "logs", "audit.ndjson")).mode & 0o777, 0o600)
  })

  it("keeps two files of bounded size, over restarts too", async () => {
    const entry = { at: 0, outcome: "ok", millis: 1, owner: "o", key: "k" }
    const write = (first: number, last: number) =>
      Effect.gen(function* () {
        const { record } = yield* Audit
        for (let n = first; n <= last; n++) yield* record({ ...entry, tool: `tool_${n}` })
      }).pipe(Effect.provide(AuditLog.layer(home, 1000)), Effect.runPromise)
    await write(1, 15)
    await write(16, 40)
    for (const file of ["audit.ndjson", "audit.1.ndjson"]) {
      assert.isAtMost(statSync(join(home, "logs", file)).size, 1000)
    }
    const kept = [...lines("audit.1.ndjson"), ...lines("audit.ndjson")].map(({ tool }) => tool)
    assert.deepStrictEqual(
      kept,
      Array.from({ length: kept.length }, (_, i) => `tool_${41 - kept.length + i}`)
    )
    assert.isAbove(kept.length, 9)
  })
})
