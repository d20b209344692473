import { assert, it } from "vitest"
import { frozenMemory } from "./FrozenMemory.ts"

it("frozen releases share a quarter of the memory that there really is", () => {
  assert.strictEqual(frozenMemory(64, 0), 16)
  assert.strictEqual(frozenMemory(64, 2 ** 64), 16)
  assert.strictEqual(frozenMemory(64, 8), 2)
})
