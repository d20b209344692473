/** Control ends at every boundary of every workflow's journal, comes back, and nothing is to be seen of it. */
import { assert, describe, it } from "vitest"
import { crashEverywhere } from "./CrashPoints.ts"
import { scenarios } from "./Scenarios.ts"

/** A scenario is lived through once for each boundary. */
const patience = 300_000

describe("a crash at each boundary of the journal", () => {
  for (const [name, scenario] of Object.entries(scenarios)) {
    it(
      `leaves no trace in ${name}`,
      async () => {
        const { crashed, points, violations } = await crashEverywhere(scenario)
        const wrong = violations.map(
          ({ at, detail, invariant }) => `${at}: ${invariant}: ${detail}`
        )
        assert.deepStrictEqual(wrong, [])
        assert.isAtLeast(points, 6)
        assert.strictEqual(crashed, points, "every boundary was crashed at")
      },
      patience
    )
  }
})
