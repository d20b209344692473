/** Texts that strangers send: any text, and what looks like the real thing but for one place. */
import * as fc from "fast-check"

const pieces = [
  "..",
  ".",
  "/",
  "//",
  "\\",
  "-",
  "--upload-pack=x",
  "%2e%2e",
  "%2f",
  "%00",
  "\0",
  "\n",
  "\r\n",
  " ",
  "\t",
  "~",
  "@{",
  ":",
  "@",
  "#",
  "?",
  ".git",
  ".lock",
  ".GIT",
  "git~1",
  "$(id)",
  "`id`",
  ";id",
  "'",
  '"',
  "\u202e",
  "\u3002",
  "\uff0f",
  "\ud800",
  "\u0130",
  "é",
  "xn--",
  "__proto__",
  "constructor",
  "https://",
  "file://",
  "ssh://",
  "127.0.0.1",
  "github.com",
  "main",
  "my-saas",
  "web",
  "a",
  "Z",
  "0",
  "localhost"
]

/** Of these pieces, in any order. */
export const jumble: fc.Arbitrary<string> = fc
  .array(fc.constantFrom(...pieces), { maxLength: 12 })
  .map((parts) => parts.join(""))

/** Repeated until a rule with a choice too many would take for ever. */
const long: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...pieces, "a-", "a.", "a/", "-a"), fc.integer({ min: 1, max: 4_000 }))
  .map(([piece, count]) => `${piece.repeat(count)}!`)

export const word: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: jumble },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 60 }) },
  { weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 60 }) },
  { weight: 1, arbitrary: long }
)

/** Characters below U+0100, one for each byte on the wire. */
export const bytes = (text: string): string => Buffer.from(text, "utf8").toString("latin1")
