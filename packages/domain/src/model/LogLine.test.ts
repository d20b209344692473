import { assert, describe, it } from "@effect/vitest"
import { redactor } from "./LogLine.ts"

describe("redactor", () => {
  it("takes every known value out, the longer one first", () => {
    const redact = redactor(["s3cret", "s3cret-and-more"])
    assert.strictEqual(redact("a s3cret-and-more b s3cret c s3cret"), "a •••••• b •••••• c ••••••")
  })

  it("leaves short values and plain words, which would only make logs hard to read", () => {
    assert.strictEqual(redactor(["1", "", "production"])("1 in production"), "1 in production")
  })
})
