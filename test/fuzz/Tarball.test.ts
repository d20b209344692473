/** Archives of deploy_files: whatever they are, files below one folder come out, or a refusal that says why. */
import { gzipSync } from "node:zlib"
import { filesOf } from "@deploy-mcp/runtime/commands/Tarball"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { holds, patience } from "./Law.ts"
import { word } from "./Words.ts"

const block = 512

interface Entry {
  readonly name: string
  readonly kind: string
  readonly content: string
  readonly prefix: string
  readonly size: number | null
}

const entry: fc.Arbitrary<Entry> = fc.record({
  name: word,
  // Mostly what gets as far as the names.
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("0", "\0", "5", "L", "x", "g") },
    { weight: 1, arbitrary: fc.constantFrom("1", "2", "K", "S", "?") }
  ),
  content: fc.oneof(word, word.map(pathRecord)),
  prefix: fc.oneof(fc.constant(""), word),
  size: fc.oneof(
    { weight: 12, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.integer({ min: -1, max: 1 << 30 }) }
  )
})

function pathRecord(path: string): string {
  return `${path.length + 9} path=${path}\n`
}

/** With a right checksum, so that what is inside gets looked at. */
const packed = ({ content, kind, name, prefix, size }: Entry): Buffer => {
  const body = Buffer.from(content)
  const header = Buffer.alloc(block)
  header.write(name, 0, 100)
  header.write("0000644\0", 100)
  header.write(`${(size ?? body.length).toString(8).padStart(11, "0")}\0`, 124, 12)
  header.write("        ", 148)
  header.write(kind, 156, 1)
  header.write("ustar\0", 257)
  header.write(prefix, 345, 155)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
  return Buffer.concat([header, body, Buffer.alloc((block - (body.length % block)) % block)])
}

const archive: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.array(entry, { maxLength: 6 }).map((entries) => Buffer.concat(entries.map(packed))),
  fc.array(entry, { maxLength: 6 }).map((entries) => gzipSync(Buffer.concat(entries.map(packed)))),
  fc.uint8Array({ maxLength: 2_000 }),
  fc.uint8Array({ maxLength: 500 }).map((rest) => Buffer.concat([Buffer.from([0x1f, 0x8b]), rest]))
)

describe("a tarball", () => {
  it(
    "gives files that stay below their folder, or says what is wrong with it",
    () =>
      holds(
        archive,
        async (bytes) => {
          const outcome = await Effect.runPromise(Effect.result(filesOf(bytes)))
          if (Result.isFailure(outcome)) {
            const { cause, next } = outcome.failure.failure
            assert.match(cause, /^tarball: /u)
            assert.isNotEmpty(next)
            return
          }
          for (const { path } of outcome.success) {
            assert.notMatch(path, /^\/|\\|\0|(?:^|\/)(?:\.{0,2}|\.git)(?:\/|$)/iu)
          }
        },
        3_000
      ),
    patience
  )
})
