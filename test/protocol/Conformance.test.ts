/**
 * The official conformance suite against our endpoint: our router, Host and Origin checks and sessions.
 * It sends no key and wants tools of its own, so only the verifier and the offer are swapped.
 */
import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import path from "node:path"
import { keys } from "@deploy-mcp/mcp/testing/CommandsDouble"
import { startDoors } from "@deploy-mcp/runtime/http/testing/DoorsServer"
import { Effect } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { fixture } from "./fixture/Offer.ts"

let doors: Awaited<ReturnType<typeof startDoors>>
let results: string
beforeAll(async () => {
  doors = await startDoors({
    authenticate: () => Effect.succeed(keys.dk_live_owner),
    offer: fixture
  })
  results = await mkdtemp(path.join(tmpdir(), "conformance-"))
})
afterAll(async () => {
  await doors.close()
  await rm(results, { recursive: true, force: true })
})

const suite = createRequire(import.meta.url).resolve(
  "@modelcontextprotocol/conformance/dist/index.js"
)

const run = (...args: ReadonlyArray<string>) =>
  new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [suite, "server", "--url", `${doors.url}/mcp`, ...args], {
      cwd: results,
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    child.stdout.on("data", (chunk) => {
      output += chunk
    })
    child.stderr.on("data", (chunk) => {
      output += chunk
    })
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, output }))
  })

/** The scenarios that count, as the suite lists them; it also runs what it does not score. */
const scoredScenarios = async (revision: string) => {
  const file = path.join(path.dirname(suite), "..", "requirements", `${revision}.yaml`)
  const servers = /^server:\n((?: {2}- \S+\n)+)/mu.exec(await readFile(file, "utf8"))?.[1] ?? ""
  return servers.match(/[^\s-]\S*/gu) ?? []
}

describe("the official conformance suite", () => {
  for (const [revision, count] of [
    ["2025-11-25", 30],
    ["2026-07-28", 37]
  ] as const) {
    // The suite gives some answers half a second, which a busy machine may miss once.
    it(`passes every scored scenario of ${revision}`, { retry: 1 }, async () => {
      const scored = await scoredScenarios(revision)
      assert.lengthOf(scored, count)
      const { code, output } = await run("--requirements", revision, "--output-dir", results)
      const passed = [...output.matchAll(/^✓ (\S+): [1-9]\d* passed, 0 failed$/gmu)]
      const names = new Set(passed.map(([, name]) => name))
      const missed = scored.filter((name) => !names.has(name))
      assert.deepStrictEqual({ code, missed }, { code: 0, missed: [] }, output)
    })
  }
})
