import { assert, describe, it } from "vitest"
import { nextAfter, parseCron } from "./Cron.ts"

const next = (text: string, after: string): string | null => {
  const cron = parseCron(text)
  assert(typeof cron !== "string", String(cron))
  const due = nextAfter(cron, Date.parse(after))
  return due === null ? null : new Date(due).toISOString().slice(0, 16)
}

describe("a schedule is due", () => {
  const cases: ReadonlyArray<readonly [what: string, cron: string, after: string, due: string]> = [
    ["each minute", "* * * * *", "2026-11-28T10:00:00.000Z", "2026-11-28T10:01"],
    [
      "later in the same minute: the next one",
      "* * * * *",
      "2026-11-28T10:00:59Z",
      "2026-11-28T10:01"
    ],
    ["each quarter of an hour", "*/15 * * * *", "2026-11-28T10:59Z", "2026-11-28T11:00"],
    ["at night", "30 3 * * *", "2026-11-28T03:30Z", "2026-11-29T03:30"],
    ["on working days", "0 9 * * mon-fri", "2026-11-28T00:00Z", "2026-11-30T09:00"],
    ["on Sundays, as 7", "0 0 * * 7", "2026-11-28T00:00Z", "2026-11-29T00:00"],
    ["on a Friday or a 13th", "0 0 13 * 5", "2026-11-28T00:00Z", "2026-12-04T00:00"],
    ["each other day, if it is a Monday", "0 0 */2 * 1", "2026-11-28T00:00Z", "2026-12-07T00:00"],
    ["at the turn of the year", "0 0 1 jan *", "2026-11-28T00:00Z", "2027-01-01T00:00"],
    ["on a leap day", "0 0 29 2 *", "2026-11-28T00:00Z", "2028-02-29T00:00"],
    ["on a leap day across 2100", "0 0 29 2 *", "2096-03-01T00:00Z", "2104-02-29T00:00"],
    [
      "by lists, ranges and steps",
      "5,10-20/5 0/12 1 6-7 *",
      "2026-11-28T00:00Z",
      "2027-06-01T00:05"
    ]
  ]
  for (const [what, cron, after, due] of cases) {
    it(what, () => assert.strictEqual(next(cron, after), due))
  }
})

describe("a schedule that can't be used says which field, the rule and an example", () => {
  const cases: ReadonlyArray<readonly [cron: string, words: RegExp]> = [
    ["", /0 fields.*five are needed.*30 3 \* \* \*/u],
    ["* * * *", /4 fields/u],
    ["0 * * * * *", /6 fields/u],
    ["@daily", /1 fields/u],
    ["60 * * * *", /^minute: '60' is none; numbers from 0 to 59.*\*\/15/u],
    ["* 24 * * *", /^hour: '24'.*0 to 23/u],
    ["* * 0 * *", /^day of month: '0'.*1 to 31/u],
    ["* * * foo *", /^month: 'foo'.*names like feb/u],
    ["* * * * 8", /^day of week: '8'.*mon-fri/u],
    ["5-1 * * * *", /^minute: '5-1'/u],
    ["*/0 * * * *", /^minute: '\*\/0'/u],
    ["*/x * * * *", /^minute/u],
    ["1,,2 * * * *", /^minute: ''/u],
    ["-1 * * * *", /^minute: '-1'/u],
    ["0 0 31 2 *", /^day of month: '31' never comes in month '2'/u]
  ]
  for (const [cron, words] of cases) {
    it(`'${cron}'`, () => assert.match(String(parseCron(cron)), words))
  }
})
