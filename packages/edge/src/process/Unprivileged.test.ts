import { execFile } from "node:child_process"
import { chmod, copyFile, cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"
import { findProgram } from "./Program.ts"

const run = promisify(execFile)
const domain = new URL("../../../domain", import.meta.url).pathname
const isSource = (path: string) => !path.includes("/node_modules")

/** The sources and the runtime, where a user without rights can read them. */
const copyForEverybody = async (): Promise<string> => {
  const place = await mkdtemp(join(tmpdir(), "edge-unprivileged-"))
  await chmod(place, 0o755)
  await cp(new URL(".", import.meta.url).pathname, join(place, "process"), { recursive: true })
  // Node runs no TypeScript inside of node_modules: there it is a link, as in a workspace.
  await cp(domain, join(place, "domain"), { recursive: true, filter: isSource })
  await mkdir(join(place, "node_modules", "@deploy-mcp"), { recursive: true })
  await symlink("../../domain", join(place, "node_modules", "@deploy-mcp", "domain"))
  await mkdir(join(place, "bin"))
  await copyFile(process.execPath, join(place, "bin", "node"))
  await mkdir(join(place, "tmp"))
  await chmod(join(place, "tmp"), 0o777)
  await run("chmod", ["-R", "go+rX", place])
  return place
}

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
      assert.isFalse(told.isolation.network)
      assert.deepStrictEqual(told.isolation.limits, { memory: false, cpu: false, pids: false })
      assert.match(told.isolation.notes.join("\n"), /share the host's network/)
      assert.strictEqual(told.answer, "hello 'quoted'")
      assert.isAbove(told.frozenBytes, 10 * 1024 * 1024)
      assert.deepStrictEqual(told.frozen, ["T"])
      assert.notInclude(told.thawed.states, "T")
      assert.strictEqual(told.thawed.answer, "hello 'quoted'")
      assert.include(told.lines, "stdout: bye")
      assert.include(told.work, "stdout: worked with undefined")
      assert.strictEqual(told.second.code, "fixed_port")
      assert.strictEqual(told.second.port, told.port)
      assert.strictEqual(told.pinned.code, "no_port")
      assert.strictEqual(told.memory.code, "out_of_memory")
      assert.deepStrictEqual(told.survivors, [])
      if (told.isolation.level === "bubblewrap") {
        // It shares the host's network, and the notes say so.
        assert.deepStrictEqual(told.escaped, ["call a nameless socket", "call loopback"])
        assert.strictEqual(told.written, "EROFS")
        assert.strictEqual(told.homeSeen, false)
        assert.notInclude(told.environ, "EDGE_OWN_WORD")
      }
    } finally {
      await rm(place, { recursive: true, force: true })
    }
  })
})
