/** Simulated lives of the platform: whatever fails, the invariants hold, and a seed tells the same story each time. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { live } from "./Life.ts"

const seeds = Array.from(
  { length: Number(process.env.CHAOS_SEEDS ?? 300) },
  (_, index) => `${index}`
)
const perTest = 25

/** Seeds that once found a bug, each with the bug in a word. */
const found: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, "regressions.json"), "utf8")
)

const holds = async (seed: string) => {
  const { trace, violations } = await live(seed)
  if (violations.length === 0) return
  const wrong = violations.map(({ detail, invariant }) => `${invariant}: ${detail}`)
  assert.fail([`seed ${seed}`, ...wrong, "", ...trace.slice(-60)].join("\n"))
}

describe("simulated lives", () => {
  for (let from = 0; from < seeds.length; from += perTest) {
    const some = seeds.slice(from, from + perTest)
    it(`hold every invariant, seeds ${some[0]} to ${some.at(-1)}`, {
      timeout: 180_000
    }, async () => {
      for (const seed of some) await holds(seed)
    })
  }

  for (const [seed, bug] of Object.entries(found)) {
    it(`hold with seed ${seed}, which once found that ${bug}`, () => holds(seed))
  }

  it("tell the same story each time", async () => {
    for (const seed of ["3", "8", "16"]) {
      const first = await live(seed)
      const second = await live(seed)
      assert.isAbove(first.trace.length, 5)
      assert.strictEqual(first.hash, second.hash, first.trace.join("\n"))
    }
  })
})
