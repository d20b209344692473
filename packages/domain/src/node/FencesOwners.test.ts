import { assert, describe, it } from "vitest"
import { fencesOwners } from "./FencesOwners.ts"

describe("owners are fenced from each other", () => {
  it.each([
    ["bubblewrap", true, true],
    ["container", true, true],
    ["gvisor", true, true],
    ["gvisor", false, false],
    ["bubblewrap", false, false],
    ["plain", true, false],
    ["plain", false, false]
  ] as const)("by %s with a network of their own: %s", (level, network, fences) => {
    const limits = { memory: true, cpu: true, pids: true }
    const isolation = { level, network, limits, notes: [] }
    assert.strictEqual(fencesOwners(isolation), fences)
    assert.isFalse(fencesOwners({ ...isolation, refused: "nothing is run" }))
  })
})
