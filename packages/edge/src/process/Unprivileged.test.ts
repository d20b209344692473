import { execFile } from "node:child_process"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"
import { copyForEverybody } from "./CopyForEverybody.ts"
import { findProgram } from "./Program.ts"

const run = promisify(execFile)

describe.each([
  { mode: "with what is installed", without: [] },
  { mode: "without bubblewrap", without: ["bwrap"] }
])("an edge without rights, $mode", ({ without }) => {
  it("runs services, takes no port twice and is cleaned up after", async () => {
    const place = await copyForEverybody()
    const node = join(place, "bin", "node")
    const drop = ["--reuid", "65533", "--regid", "65533", "--clear-groups", "--"]
    const command = [node, join(place, "process", "UnprivilegedScenario.ts"), ...without]
    const [file = "", ...args] =
      process.getuid?.() === 0 ? ["setpriv", ...drop, ...command] : command
    try {
      const { stdout } = await run(file, args, {
        env: { PATH: process.env.PATH, TMPDIR: join(place, "tmp") },
        timeout: 60_000
      })
      const told = JSON.parse(stdout.trim().split("\n").at(-1) ?? "")
      const bwrap = without.length === 0 && (await findProgram("bwrap")) !== null
      if (!bwrap) assert.strictEqual(told.isolation.level, "plain")
      assert.deepStrictEqual(Object.values(told.isolation.limits), [false, false, false, false])
      const notes = told.isolation.notes.join("\n")
      assert.strictEqual(told.isolation.network, bwrap, notes)
      assert.strictEqual(told.answer, "hello 'quoted'")
      assert.isAbove(told.frozenBytes, 10 * 1024 * 1024)
      assert.deepStrictEqual(told.frozen, ["T"])
      assert.notInclude(told.thawed.states, "T")
      assert.strictEqual(told.thawed.answer, "hello 'quoted'")
      assert.include(told.lines, "stdout: bye")
      assert.include(told.work, "stdout: worked with undefined")
      if (bwrap) assert.strictEqual(told.second, "second")
      else {
        assert.match(notes, /share the host's network/)
        assert.strictEqual(told.second.code, "fixed_port")
        assert.strictEqual(told.second.port, told.port)
      }
      assert.strictEqual(told.pinned.code, "no_port")
      assert.strictEqual(told.memory.code, "out_of_memory")
      assert.deepStrictEqual(told.survivors, [])
      if (told.isolation.level === "bubblewrap") {
        assert.deepStrictEqual(told.escaped, [])
        assert.strictEqual(told.written, "EROFS")
        assert.strictEqual(told.homeSeen, false)
        assert.notInclude(told.environ, "EDGE_OWN_WORD")
      }
    } finally {
      await rm(place, { recursive: true, force: true })
    }
  })
})
