import { PassThrough } from "node:stream"
import { maxLineLength as platformLength } from "@deploy-mcp/domain/model/LogLine"
import { assert, describe, it } from "vitest"
import { maxLineLength, readLines } from "./OutputLines.ts"

const linesOf = async (...chunks: ReadonlyArray<string | Buffer>): Promise<Array<string>> => {
  const stream = new PassThrough()
  const lines: Array<string> = []
  readLines(stream, (line) => lines.push(line))
  for (const chunk of chunks) stream.write(chunk)
  stream.end()
  await new Promise((done) => stream.once("close", done))
  return lines
}

describe("lines of output", () => {
  it("are whole whatever pieces they come in", async () => {
    const bytes = Buffer.from("zwölf\r\n\nlast")
    const pieces = [...bytes].map((byte) => Buffer.from([byte]))
    assert.deepStrictEqual(await linesOf(...pieces), ["zwölf", "", "last"])
  })
  it("are cut where they are too long, and the next one is whole again", async () => {
    const long = "x".repeat(maxLineLength)
    const cut = `${"x".repeat(maxLineLength - 1)}…`
    assert.deepStrictEqual(await linesOf(`${long}\n`), [long])
    assert.deepStrictEqual(await linesOf(long, "y", "zzz\nnext\n"), [cut, "next"])
    assert.deepStrictEqual(await linesOf(`${long}${long}\nnext`), [cut, "next"])
  })
  it("are as long as those of the platform's logs", () => {
    assert.strictEqual(maxLineLength, platformLength)
  })
})
