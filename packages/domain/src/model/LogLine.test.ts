import { assert, describe, it } from "@effect/vitest"
import { finder, readableText, redactor } from "./LogLine.ts"

describe("finder", () => {
  const line = { at: 1000, text: "Connection REFUSED by db" }

  it("finds text in any case", () => {
    assert.isTrue(finder({ contains: "connection refused" })(line))
    assert.isFalse(finder({ contains: "accepted" })(line))
  })

  it("finds what came at a time or after it", () => {
    assert.isTrue(finder({ since: 1000 })(line))
    assert.isFalse(finder({ since: 1001 })(line))
    assert.isFalse(finder({ contains: "refused", since: 1001 })(line))
  })

  it("finds a worker's lines by its name, as they are shown", () => {
    const worker = { ...line, process: "mailer" }
    assert.isTrue(finder({ contains: "MAILER |" })(worker))
    assert.strictEqual(readableText(worker), "mailer | Connection REFUSED by db")
    assert.strictEqual(readableText(line), line.text)
  })

  it("finds everything when nothing is asked for", () => {
    assert.isTrue(finder({})(line))
  })
})

describe("redactor", () => {
  it("takes every known value out, the longer one first", () => {
    const redact = redactor(["s3cret", "s3cret-and-more"])
    assert.strictEqual(redact("a s3cret-and-more b s3cret c s3cret"), "a •••••• b •••••• c ••••••")
  })

  it("leaves short values and plain words, which would only make logs hard to read", () => {
    assert.strictEqual(redactor(["1", "", "production"])("1 in production"), "1 in production")
  })
})
