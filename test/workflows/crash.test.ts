/** kill -9 before and after each step of a deployment: the next life ends it as if nothing had been. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onEachDatabase } from "@deploy-mcp/runtime/store/testing/Databases"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { steps } from "./Boundary.ts"

interface Report {
  readonly statuses: ReadonlyArray<string>
  readonly routes: ReadonlyArray<string>
  readonly running: ReadonlyArray<string>
  readonly live: ReadonlyArray<string>
  readonly builds: ReadonlyArray<number>
  readonly steps: ReadonlyArray<string>
}

onEachDatabase((fresh) => {
  let home = ""
  let database = ""
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "deploy-mcp-crash-"))
    database = fresh() ?? ""
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  const live = (...boundary: ReadonlyArray<string>) => {
    const child = join(import.meta.dirname, "CrashChild.ts")
    const life = spawnSync(process.execPath, [child, home, database, ...boundary], {
      encoding: "utf8",
      timeout: 50_000
    })
    const report = /^REPORT (.*)$/m.exec(life.stdout)?.[1]
    return { ...life, report: report === undefined ? null : (JSON.parse(report) as Report) }
  }

  describe("kill -9", () => {
    it("is tried at every step that the journal of an undisturbed deployment holds", () => {
      const { report, stderr } = live()
      assert.isNotNull(report, stderr)
      assert.sameMembers([...(report?.steps ?? [])], [...steps])
    })

    for (const step of steps) {
      for (const when of ["before", "after"] as const) {
        it(`${when} ${step}: the next life finishes it`, () => {
          const killed = live(step, when)
          assert.strictEqual(killed.signal, "SIGKILL", killed.stderr)
          const { report, stderr } = live()
          if (report === null) throw new Error(stderr)
          assert.deepStrictEqual(report.statuses, ["live", "replaced"])
          assert.deepStrictEqual(report.routes, report.live)
          assert.deepStrictEqual(report.running, report.live)
          assert.isTrue(report.builds.every((count) => count === 1))
        })
      }
    }
  })
})
