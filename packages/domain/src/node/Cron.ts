/**
 * Five fields that say when something is due, in UTC: minute, hour, day of month, month, day of week.
 * A node asks without control, so this reads and answers by itself.
 */

export interface Cron {
  readonly minutes: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  /** Sunday is 0. */
  readonly weekdays: ReadonlySet<number>
  /** A day has to fit both of its fields, because one of them begins with `*`; else one is enough. */
  readonly bothDays: boolean
}

/** Reads `30 3 * * 1-5`; or says which field can't be used, and why. */
export const parseCron = (text: string): Cron | string => {
  const fields = text.trim().split(/\s+/u)
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields
  if (fields.length !== 5) {
    return `it has ${text.trim() === "" ? 0 : fields.length} fields; five are needed (minute, hour, day of month, month, day of week, in UTC), e.g. 30 3 * * * for each day at 03:30`
  }
  const minutes = readField(minute, rules.minute)
  if (typeof minutes === "string") return minutes
  const hours = readField(hour, rules.hour)
  if (typeof hours === "string") return hours
  const days = readField(day, rules.day)
  if (typeof days === "string") return days
  const months = readField(month, rules.month)
  if (typeof months === "string") return months
  const weekdays = readField(weekday, rules.weekday)
  if (typeof weekdays === "string") return weekdays
  const bothDays = day.startsWith("*") || weekday.startsWith("*")
  const cron = { minutes, hours, days, months, weekdays, bothDays }
  return nextAfter(cron, 0) === null
    ? `day of month: '${day}' never comes in month '${month}'; give a day that is there, e.g. 28`
    : cron
}

/** The first time after this one that is due, in milliseconds since 1970; null: it never is. */
export const nextAfter = (cron: Cron, after: number): number | null => {
  const from = Math.floor(after / minuteMs) * minuteMs + minuteMs
  const [firstDay, lastDay] = [Math.floor(from / dayMs), Math.floor(from / dayMs) + farthestDays]
  for (let day = firstDay; day <= lastDay; day += 1) {
    if (!isDueOn(cron, new Date(day * dayMs))) continue
    const due = nextOn(cron, day * dayMs, from)
    if (due !== null) return due
  }
  return null
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
/** A 29th of February on a given day of the week can be 40 years away, across a year like 2100. */
const farthestDays = 41 * 366

const isDueOn = (cron: Cron, date: Date): boolean => {
  if (!cron.months.has(date.getUTCMonth() + 1)) return false
  const day = cron.days.has(date.getUTCDate())
  const weekday = cron.weekdays.has(date.getUTCDay())
  return cron.bothDays ? day && weekday : day || weekday
}

const nextOn = ({ hours, minutes }: Cron, midnight: number, from: number): number | null => {
  for (let hour = 0; hour < 24; hour += 1) {
    const start = midnight + hour * hourMs
    if (!hours.has(hour) || start + hourMs <= from) continue
    for (let minute = 0; minute < 60; minute += 1) {
      const due = start + minute * minuteMs
      if (minutes.has(minute) && due >= from) return due
    }
  }
  return null
}

interface Rule {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly names: ReadonlyArray<string>
  readonly example: string
}

const rules = {
  minute: { name: "minute", min: 0, max: 59, names: [], example: "*/15" },
  hour: { name: "hour", min: 0, max: 23, names: [], example: "3" },
  day: { name: "day of month", min: 1, max: 31, names: [], example: "1,15" },
  month: {
    name: "month",
    min: 1,
    max: 12,
    names: "jan feb mar apr may jun jul aug sep oct nov dec".split(" "),
    example: "1-6"
  },
  weekday: {
    name: "day of week",
    min: 0,
    max: 7,
    names: "sun mon tue wed thu fri sat".split(" "),
    example: "mon-fri"
  }
} as const satisfies Record<string, Rule>

/** A list of `*`, `5`, `1-5`, each with a step if wanted. */
const readField = (text: string, rule: Rule): ReadonlySet<number> | string => {
  const values = new Set<number>()
  for (const entry of text.split(",")) {
    const [, range = "", step] = /^([^/]*)(?:\/(\d+))?$/u.exec(entry) ?? []
    const [, first = "", last] = /^([^-]+)(?:-([^-]+))?$/u.exec(range) ?? []
    const every = step === undefined ? 1 : Number(step)
    const [from, to] =
      range === "*"
        ? [rule.min, rule.max]
        : [valueOf(first, rule), valueOf(last ?? (step === undefined ? first : rule.max), rule)]
    if (from === null || to === null || from > to || every < 1 || every > rule.max) {
      return `${rule.name}: '${entry}' is none; ${ruleOf(rule)}, e.g. ${rule.example}`
    }
    for (let value = from; value <= to; value += every) {
      // Sunday is 0 and 7.
      values.add(rule.max === 7 ? value % 7 : value)
    }
  }
  return values
}

const valueOf = (text: string | number, { max, min, names }: Rule): number | null => {
  const named = names.indexOf(String(text).toLowerCase())
  const value = named >= 0 ? named + min : /^\d+$/u.test(String(text)) ? Number(text) : null
  return value !== null && value >= min && value <= max ? value : null
}

const ruleOf = ({ max, min, names }: Rule): string =>
  `numbers from ${min} to ${max}${names.length > 0 ? ` or names like ${names[1]}` : ""}, lists, ranges and steps`
