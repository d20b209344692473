/** Conditional requests for reading (RFC 9110 §13), in the order of its §13.2.2, and one range (§14). */
import type { IncomingHttpHeaders } from "node:http"

export interface Validators {
  /** Strong. */
  readonly etag: string
  /** Milliseconds since 1970, whole seconds. */
  readonly modified: number
}

/** What a client that asked on conditions gets. */
export type Verdict = "content" | "not_modified" | "precondition_failed"

export const judge = (headers: IncomingHttpHeaders, { etag, modified }: Validators): Verdict => {
  const match = headers["if-match"]
  if (match !== undefined) {
    if (!lists(match, etag, false)) return "precondition_failed"
  } else if (modified > (dateOf(headers["if-unmodified-since"]) ?? Number.POSITIVE_INFINITY)) {
    return "precondition_failed"
  }
  const noneMatch = headers["if-none-match"]
  if (noneMatch !== undefined) return lists(noneMatch, etag, true) ? "not_modified" : "content"
  const since = dateOf(headers["if-modified-since"])
  return since !== null && modified <= since ? "not_modified" : "content"
}

/** Both ends included. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** The one range that is asked for; null: the whole. More than one is answered with the whole. */
export const rangeOf = (
  headers: IncomingHttpHeaders,
  validators: Validators,
  size: number
): ByteRange | "unsatisfiable" | null => {
  const parts = /^bytes=\s*(\d*)-(\d*)\s*$/iu.exec(headers.range ?? "")
  if (parts === null || !stillTheSame(headers["if-range"], validators)) return null
  const [, first = "", last = ""] = parts
  if (first === "" && last === "") return null
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1)
  if (first !== "" && last !== "" && Number(last) < start) return null
  return start >= size || (first === "" && Number(last) === 0) ? "unsatisfiable" : { start, end }
}

/** If-Range compares strongly, and a date only by being the same one. */
const stillTheSame = (condition: string | string[] | undefined, is: Validators): boolean =>
  condition === undefined || condition === is.etag || dateOf(condition) === is.modified

/** Whether the list of entity tags, or `*`, has this one. Compared strongly, a weak tag is no match. */
const lists = (header: string, etag: string, weakly: boolean): boolean => {
  if (header.trim() === "*") return true
  for (const [tag] of header.matchAll(/(?:W\/)?"[^"]*"/gu)) {
    if (tag === etag || (weakly && tag === `W/${etag}`)) return true
  }
  return false
}

/** One of the three forms of a date in HTTP; null: it is none and counts as absent. */
const dateOf = (text: string | string[] | undefined): number | null => {
  if (typeof text !== "string") return null
  const zone = text.endsWith(" GMT") ? "" : " GMT"
  if (!dateForm.test(text)) return null
  const time = Date.parse(`${text}${zone}`)
  return Number.isNaN(time) ? null : time
}

const dateForm =
  /^(?:\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT|\w{6,9}, \d\d-\w{3}-\d\d [\d:]{8} GMT|\w{3} \w{3} [ \d]\d [\d:]{8} \d{4})$/u
