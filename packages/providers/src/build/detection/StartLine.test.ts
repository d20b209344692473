import { assert, describe, it } from "@effect/vitest"
import { startLine } from "./StartLine.ts"

const bin = 'export PATH="$PWD/node_modules/.bin:$PATH"; '

describe("startLine", () => {
  const cases: ReadonlyArray<[string, Record<string, string>, string, string | null]> = [
    ["node server.js", {}, "exec node server.js", "node"],
    [
      "  node   --enable-source-maps dist/x.js ",
      {},
      "exec node --enable-source-maps dist/x.js",
      "node"
    ],
    ["NODE_ENV=production node x.js", {}, "exec env NODE_ENV=production node x.js", "node"],
    ["next start", {}, `${bin}exec next start`, "next"],
    ["node a.js && node b.js", {}, `${bin}node a.js && node b.js`, null],
    ["node x.js -p $PORT", {}, `${bin}node x.js -p $PORT`, null],
    ["cd dist", {}, `${bin}cd dist`, null],
    ["npm start", { start: "node x.js" }, "exec node x.js", "node"],
    ["npm run serve", { serve: "npm run real", real: "node r.js" }, "exec node r.js", "node"],
    ["npm run missing", {}, `${bin}exec npm run missing`, "npm"],
    [
      "npm start",
      { start: "node x.js", prestart: "node p.js" },
      `${bin}(node p.js) && exec node x.js`,
      "node"
    ]
  ]
  for (const [command, scripts, line, program] of cases) {
    it(command.trim(), () => assert.deepStrictEqual(startLine(command, scripts), { line, program }))
  }
  it("gives up on scripts that call each other for ever", () => {
    const { line } = startLine("npm run a", { a: "npm run b", b: "npm run a" })
    assert.include(line, "npm run")
  })
})
