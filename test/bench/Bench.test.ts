/** One short run of `npm run bench`, so that it can't rot. Its numbers are not judged here. */
import { spawn } from "node:child_process"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hasPostgres } from "@deploy-mcp/providers/database/postgres/PostgresServer"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { root } from "../e2e/Platform.ts"
import { row, summary } from "./Numbers.ts"

let world: string
beforeEach(() => {
  world = mkdtempSync(join(tmpdir(), "deploy-mcp-bench-test-"))
  // Postgres runs as another user, below it.
  chmodSync(world, 0o711)
})
afterEach(() => rmSync(world, { recursive: true, force: true }))

const bench = (...args: ReadonlyArray<string>) =>
  new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, "bin/bench.mjs"), ...args], {
      env: { ...process.env, TMPDIR: world }
    })
    const said = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        said[name] += text
      })
    }
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, ...said }))
  })

describe("npm run bench", () => {
  it("measures ours and the floor, prints both and leaves nothing behind", async () => {
    const file = join(world, "report.json")
    const { code, stdout, stderr } = await bench("--only", "static,mcp", "--n", "1", "--json", file)
    assert.strictEqual(code, 0, stderr)
    const { machine, rows } = JSON.parse(readFileSync(file, "utf8"))
    assert.isAbove(machine.cores, 0)
    const names = rows.map(({ what }: { what: string }) => what)
    assert.deepStrictEqual(names, [
      "static, first push → 200",
      "static, change → 200",
      "MCP reads, 2025 session",
      "MCP reads, 2026 stateless"
    ])
    for (const { what, ours, floor, ratio, cpu } of rows) {
      assert.strictEqual(ours.n, 1, what)
      assert.isAbove(ours.p50, 0, what)
      assert.isAbove(floor.p50, 0, what)
      assert.closeTo(ratio, ours.p50 / floor.p50, 1e-9, what)
      assert.isAtLeast(cpu.own, 0, what)
    }
    assert.containsAllKeys(rows[0].parts, ["push ended", "source", "build", "route"])
    for (const name of names) assert.include(stdout, name)
    assert.match(stdout, /^what +n +ours p50 +ours p95 +floor p50 +ratio +budget +ok/mu)
    assert.deepStrictEqual(readdirSync(world), ["report.json"])
  })

  it("measures a platform with many services", async () => {
    const file = join(world, "report.json")
    const few = ["--only", "density", "--n", "1", "--services", "10,2", "--json", file]
    const { code, stderr } = await bench(...few)
    assert.strictEqual(code, 0, stderr)
    const { rows } = JSON.parse(readFileSync(file, "utf8"))
    assert.deepStrictEqual(
      rows.map(({ what, ours }: { what: string; ours: { n: number } }) => [what, ours.n]),
      [
        ["MCP reads, 10 running, 2 asleep", 1],
        ["memory of control and edge, 10 running, 2 asleep", 1],
        ["memory of a running service", 9],
        ["memory of a frozen service (2 of 2)", 2],
        ["ready after start, 10 running, 2 asleep", 1],
        ["all 10 serve again after kill -9", 1]
      ]
    )
    for (const { what, ours, floor } of rows) {
      assert.isAbove(ours.p50, 0, what)
      assert.isAbove(floor.p50, 0, what)
    }
    assert.deepStrictEqual(readdirSync(world), ["report.json"])
  })

  it("measures the workflow engine, beside DBOS where there is a Postgres", async () => {
    const file = join(world, "report.json")
    const { code, stderr } = await bench("--only", "engine", "--n", "1", "--json", file)
    assert.strictEqual(code, 0, stderr)
    const { rows } = JSON.parse(readFileSync(file, "utf8"))
    assert.lengthOf(rows, hasPostgres ? 3 : 1)
    for (const { what, ours, floor } of rows) {
      assert.isAbove(ours.p50, 0, what)
      assert.isAbove(floor.p50, 0, what)
    }
    assert.deepStrictEqual(readdirSync(world), ["report.json"])
  })

  it("measures the way of a log line, and counts what is lost of it", async () => {
    const file = join(world, "report.json")
    const { code, stderr } = await bench("--only", "logs", "--n", "1", "--json", file)
    assert.strictEqual(code, 0, stderr)
    const { rows } = JSON.parse(readFileSync(file, "utf8"))
    const [fast, missing, unaccounted, ...more] = rows
    assert.isEmpty(more)
    assert.strictEqual(fast.ours.n, 10_000)
    assert.isAbove(fast.ours.p50, fast.floor.p50)
    assert.strictEqual(missing.ours.p50, 0)
    assert.strictEqual(unaccounted.ours.p50, 0)
    assert.isAbove(unaccounted.parts.read, 20_000)
    assert.isAbove(unaccounted.parts["left out, says the log"], 20_000)
    assert.deepStrictEqual(readdirSync(world), ["report.json"])
  })

  it("says which benchmarks there are", async () => {
    const { code, stderr } = await bench("--only", "nothing")
    assert.strictEqual(code, 2)
    assert.match(stderr, /--only nothing: choose among static, node, express, /u)
    const wrong = await bench("--n", "0")
    assert.strictEqual(wrong.code, 2)
    assert.match(wrong.stderr, /--n 0: it must be a whole number above 0\./u)
    const nobody = await bench("--services", "0,5")
    assert.strictEqual(nobody.code, 2)
    assert.match(nobody.stderr, /--services 0,5: running and sleeping ones, as in 50,200\./u)
  })

  it("judges a row by its budget", () => {
    const samples = Array.from({ length: 100 }, (_, index) => index + 1)
    assert.deepStrictEqual(summary(samples.toReversed()), {
      n: 100,
      min: 1,
      p50: 50.5,
      p95: 95,
      p99: 99
    })
    const judged = (budget: Parameters<typeof row>[0]["budget"]) =>
      row({ what: "it", ours: samples, floor: [25, 25], floorIs: "nothing", budget }).ok
    assert.isTrue(judged({ p50: 50.5, p95: 95, p99: 99, ratio: 2.02 }))
    assert.isFalse(judged({ p50: 50 }))
    assert.isFalse(judged({ p95: 94 }))
    assert.isFalse(judged({ p99: 98 }))
    assert.isFalse(judged({ ratio: 2 }))
    assert.isTrue(judged({ ratioOfP95: 3.8 }))
    assert.isFalse(judged({ ratioOfP95: 3.7 }))
  })
})
