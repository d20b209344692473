/** A node's own reading of a schedule, against that of the Effect library, which no node carries. */
import { nextAfter, parseCron } from "@deploy-mcp/domain/node/Cron"
import { Cron, Result } from "effect"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { holds, patience } from "./Law.ts"

/** Mostly right ones: values, names, ranges, steps and lists, and now and then one that is out of range. */
const field = (min: number, max: number, names: ReadonlyArray<string> = []) => {
  const value = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min, max }).map(String) },
    ...(names.length > 0 ? [{ weight: 2, arbitrary: fc.constantFrom(...names) }] : [])
  )
  const range = fc
    .tuple(fc.integer({ min, max }), fc.integer({ min, max }))
    .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`)
  const entry = fc
    .tuple(
      fc.oneof(value, range, fc.constant("*")),
      fc.option(fc.integer({ min: 1, max }), { nil: null, freq: 2 })
    )
    .map(([base, step]) => (step === null ? base : `${base}/${step}`))
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant("*") },
    {
      weight: 6,
      arbitrary: fc.array(entry, { minLength: 1, maxLength: 3 }).map((all) => all.join(","))
    }
  )
}

const schedules = fc
  .tuple(
    field(0, 59),
    field(0, 23),
    field(1, 31),
    field(1, 12, ["jan", "FEB", "Dec"]),
    field(0, 7, ["sun", "MON", "Sat"])
  )
  .map((fields) => fields.join(" "))
const moments = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2060, 0, 1) })

/** What it says of a schedule that never comes is an error, and its search ends somewhere else. */
const upstreamNext = (text: string, after: number): number | null => {
  try {
    return Cron.next(Cron.parseUnsafe(text, "UTC"), new Date(after)).getTime()
  } catch {
    return null
  }
}

describe("a schedule", () => {
  it("is due when the Effect library says so", { timeout: patience }, () =>
    holds(
      fc.tuple(schedules, moments),
      ([text, after]) => {
        const cron = parseCron(text)
        const due = typeof cron === "string" ? null : nextAfter(cron, after)
        assert.strictEqual(due, upstreamNext(text, after), `${text} after ${after}`)
      },
      2_000
    )
  )

  it(
    "of any characters is taken and refused as the Effect library does",
    { timeout: patience },
    () =>
      holds(
        fc
          .array(
            fc.string({
              unit: fc.constantFrom(..."0123456789*/-,asunmoj"),
              minLength: 1,
              maxLength: 5
            }),
            {
              minLength: 5,
              maxLength: 5
            }
          )
          .map((fields) => fields.join(" ")),
        (text) => {
          const refused = typeof parseCron(text) === "string"
          const theirs = Result.isFailure(Cron.parse(text, "UTC")) || upstreamNext(text, 0) === null
          assert.strictEqual(refused, theirs, text)
        },
        2_000
      )
  )
})
