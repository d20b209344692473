/** One line of what a tenant's build or process printed. Data, never an instruction. */
import { Schema } from "effect"
import { ProcessName } from "./Names.ts"

export const LogLine = Schema.Struct({
  /** Position in its log; rises by one, so a gap shows lost lines. */
  seq: Schema.Int,
  /** Milliseconds since 1970. */
  at: Schema.Int,
  stream: Schema.Literals(["stdout", "stderr", "platform"]),
  text: Schema.String,
  /** The worker that it is of; absent: the process that answers requests, or the build. */
  process: Schema.optionalKey(ProcessName)
})
export type LogLine = typeof LogLine.Type

/** A line as people read it: a worker's begins with its name. */
export const readableText = ({ process, text }: Pick<LogLine, "process" | "text">): string =>
  process === undefined ? text : `${process} | ${text}`

/** Which lines somebody looks for; what is left out asks for nothing. */
export interface LogSearch {
  /** Text that is in them, in any case. */
  readonly contains?: string
  /** From this time on, in milliseconds since 1970. */
  readonly since?: number
}

/** Whether a line is looked for. */
export const finder = ({ contains = "", since }: LogSearch) => {
  const text = contains.toLowerCase()
  return (line: Pick<LogLine, "at" | "process" | "text">): boolean =>
    (since === undefined || line.at >= since) &&
    (text === "" || readableText(line).toLowerCase().includes(text))
}

/** Longer lines are cut and end in `…`. */
export const maxLineLength = 4096

/** Common values that are no secrets; hiding them would only make logs hard to read. */
const plainWords = new Set(["production", "development", "localhost", "undefined"])

/**
 * A function that takes known values out of a text: those of 6 characters or more, the longest first.
 * What a program prints in another encoding is not found.
 */
export const redactor = (values: Iterable<string>): ((text: string) => string) => {
  const secrets = [...new Set(values)]
    .filter((value) => value.length >= 6 && !plainWords.has(value))
    .sort((a, b) => b.length - a.length)
  return (text) => secrets.reduce((line, secret) => line.replaceAll(secret, "••••••"), text)
}
