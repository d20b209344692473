/**
 * Answers have a ceiling, because clients refuse longer ones. Lists are shortened from the end that
 * matters less, and the answer says so and how to ask for less.
 */
export type JsonObject = { readonly [key: string]: unknown }

/** About 20,000 tokens. */
export const maxBytes = 60_000

export interface Cut {
  /** Shortened in this order; `newest` keeps a list's end, `first` its beginning. */
  readonly lists: ReadonlyArray<ShortenedList>
  /** How to ask for less, in a sentence. */
  readonly narrow: string
}

export interface ShortenedList {
  readonly field: string
  readonly keep: "first" | "newest"
  /** `next_cursor` after this item, so that reading on misses nothing. */
  readonly cursorOf?: (item: JsonObject) => string
}

export const fit = (answer: unknown, cut: Cut | undefined, limit = maxBytes): JsonObject => {
  const whole: JsonObject = { ...(typeof answer === "object" ? answer : { value: answer }) }
  if (cut === undefined || bytes(whole) <= limit) return whole
  const marked: JsonObject = { ...whole, truncated: true, narrow: cut.narrow }
  return cut.lists.reduce(
    (current, list) => (bytes(current) <= limit ? current : shorten(current, list, limit)),
    marked
  )
}

/** The longest part of the list that fits, found by halving. */
const shorten = (
  answer: JsonObject,
  { field, keep, cursorOf }: ShortenedList,
  limit: number
): JsonObject => {
  const list: unknown = answer[field]
  if (!Array.isArray(list)) return answer
  const part = (count: number): JsonObject => ({
    ...answer,
    [field]: keep === "first" ? list.slice(0, count) : list.slice(list.length - count)
  })
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (bytes(part(middle)) <= limit) low = middle
    else high = middle - 1
  }
  const last: unknown = list[low - 1]
  return cursorOf === undefined || !isObject(last)
    ? part(low)
    : { ...part(low), next_cursor: cursorOf(last) }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null

const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value))
