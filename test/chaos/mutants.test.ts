/** The planted bugs fit the platform as it is, and one of them is noticed here; `npm run chaos -- --mutants` tries all. */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { examine, planted } from "./Mutants.ts"
import { root } from "./Report.ts"

describe("a planted bug", () => {
  it("fits the code that it is planted in, each of them", () => {
    assert.isAtLeast(planted().length, 20)
    for (const { name } of planted()) {
      const patch = join(import.meta.dirname, "mutants", `${name}.patch`)
      execFileSync("git", ["apply", "--check", patch], { cwd: root, stdio: "pipe" })
    }
  })

  it("is noticed by an invariant", { timeout: 180_000 }, async () => {
    const mutant = planted().find(({ name }) => name === "switch-before-healthy")
    assert.isDefined(mutant)
    const { invariants, where } = await examine(mutant, 50)
    assert.isNotNull(where)
    assert.include(invariants, "healthy-only")
  })
})
