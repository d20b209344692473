import { spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it, onTestFinished } from "vitest"

/** Says `count` numbered lines into a log of at most `bytes`, beside what others write there. */
const said = async (count: number, bytes: number): Promise<ReadonlyArray<string>> => {
  const folder = await mkdtemp(join(tmpdir(), "edge-own-log-"))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, "edge.log")
  const program = `import { stderrLog } from ${JSON.stringify(join(import.meta.dirname, "Log.ts"))}
    const log = stderrLog(${JSON.stringify(file)}, ${bytes})
    for (let line = 1; line <= ${count}; line++) log("line " + line)`
  const stderr = openSync(file, "a", 0o600)
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "ignore", stderr]
  })
  closeSync(stderr)
  assert.deepStrictEqual(await once(child, "exit"), [0, null])
  return Promise.all(
    [`${file}.1`, file].map((one) => readFile(one, "utf8").catch(() => "(not there)"))
  )
}

it("the edge's own log stays small while it is written to, and keeps the newest lines", async () => {
  const [older = "", newer = ""] = await said(1_000, 4_000)
  assert.isBelow(older.length + newer.length, 2 * 4_100)
  const numbers = [...(older + newer).matchAll(/ line (\d+)\n/gu)].map(([, line]) => Number(line))
  assert.isAbove(numbers.length, 50)
  assert.strictEqual(numbers.at(-1), 1_000)
  for (const [place, number] of numbers.entries()) {
    assert.strictEqual(number, 1_000 - numbers.length + 1 + place)
  }
})

it("the edge's own log is one file while that is small", async () => {
  const [older, newer = ""] = await said(3, 4_000)
  assert.strictEqual(older, "(not there)")
  assert.strictEqual(newer.trim().split("\n").length, 3)
})
