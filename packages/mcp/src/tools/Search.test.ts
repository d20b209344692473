import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { searchOf } from "./Search.ts"

const noon = Date.parse("2026-01-31T12:00:00Z")

const sinceOf = (since: string) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(noon)
    return yield* searchOf({ contains: undefined, since })
  })

describe("since", () => {
  it.effect.each<[given: string, meant: string]>([
    ["15m", "2026-01-31T11:45:00Z"],
    ["90s", "2026-01-31T11:58:30Z"],
    ["2h", "2026-01-31T10:00:00Z"],
    ["1d", "2026-01-30T12:00:00Z"],
    ["2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z"],
    ["2026-01-31T08:00:00.250+02:00", "2026-01-31T06:00:00.250Z"],
    ["2026-01-31T08:00Z", "2026-01-31T08:00:00Z"],
    ["2026-01-31", "2026-01-31T00:00:00Z"]
  ])("%s is %s", ([given, meant]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sinceOf(given), { since: Date.parse(meant) })
    })
  )

  it.effect.each(["yesterday", "15", "15 minutes", "-5m", "2026-01-31T08:00:00", "2026-13-01", ""])(
    "'%s' is refused with what is right",
    (given) =>
      Effect.gen(function* () {
        const { failure } = yield* Effect.flip(sinceOf(given))
        assert.strictEqual(failure.code, "invalid_argument")
        assert.match(failure.cause, /^'since' is neither/u)
        assert.match(failure.next, /2026-01-31T12:00:00Z.*15m/u)
      })
  )
})
