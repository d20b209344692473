/**
 * Each call and commit fails or is the last thing control does, and others ask in between.
 * `npm run chaos -- --calls` leaves none out.
 */
import { assert, describe, it } from "vitest"
import { liveThroughAll, variations } from "./EveryCall.ts"

describe("one fault, at one call", () => {
  for (const [name, variation] of Object.entries(variations())) {
    it(`leaves no trace in ${name}`, { timeout: 300_000 }, async () => {
      const { lives, violations } = await liveThroughAll(variation, { oneIn: 11 })
      const wrong = violations.map(({ at, detail, invariant }) => `${at}: ${invariant}: ${detail}`)
      assert.deepStrictEqual(wrong, [])
      assert.isAbove(lives, 2)
    })
  }
})
