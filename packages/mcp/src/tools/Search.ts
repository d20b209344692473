/** How callers say which log lines they look for. */
import { refuse } from "@deploy-mcp/domain/Failure"
import type { LogSearch } from "@deploy-mcp/domain/model/LogLine"
import { Clock, DateTime, Duration, Effect, Option, Schema } from "effect"
import { field } from "../Tool.ts"

export const contains = Schema.optionalKey(
  field(
    Schema.NonEmptyString.pipe(Schema.check(Schema.isMaxLength(200))),
    "Only lines with this text, in any case"
  )
)

export const since = Schema.optionalKey(
  field(Schema.String.pipe(Schema.check(Schema.isMaxLength(40))), "ISO 8601 or e.g. 15m")
)

/** The same as commands take it: a duration counts back from now. */
export const searchOf = Effect.fnUntraced(function* (given: {
  readonly contains: string | undefined
  readonly since: string | undefined
}) {
  const text: LogSearch = given.contains === undefined ? {} : { contains: given.contains }
  if (given.since === undefined) return text
  const now = yield* Clock.currentTimeMillis
  const moment = Option.orElse(ago(given.since, now), () => instant(given.since))
  if (Option.isSome(moment)) return { ...text, since: moment.value }
  return yield* refuse("invalid_argument", "'since' is neither a time nor a duration.", {
    next: "Use ISO 8601 with a time zone, e.g. 2026-01-31T12:00:00Z, or a number with s, m, h or d, e.g. 15m."
  })
})

const units = { s: "seconds", m: "minutes", h: "hours", d: "days" } as const

const ago = (text: string, now: number): Option.Option<number> => {
  const [, count, unit] = /^(\d{1,6})([smhd])$/u.exec(text) ?? []
  return isUnit(unit)
    ? Option.some(
        now - Duration.toMillis(Duration.fromInputUnsafe(`${Number(count)} ${units[unit]}`))
      )
    : Option.none()
}

const isUnit = (text: string | undefined): text is keyof typeof units =>
  text !== undefined && Object.hasOwn(units, text)

/** Without a zone it would be another time on the platform's machine. */
const instant = (text = ""): Option.Option<number> =>
  /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/u.test(text)
    ? Option.map(DateTime.make(text), DateTime.toEpochMillis)
    : Option.none()
