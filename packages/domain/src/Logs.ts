/** What builds and deployments printed, kept within bounds and searched. */
import { Context, type Effect, Schema, type Stream } from "effect"
import { Fault } from "./Fault.ts"
import type { Kept } from "./model/Kept.ts"
import { finder, type LogLine, type LogSearch, maxLineLength } from "./model/LogLine.ts"

export class LogsError extends Schema.TaggedError<LogsError>()("LogsError", { reason: Fault }) {
  get isRetryable() {
    return this.reason.isRetryable
  }
}

/** One log among all: what it is of and the id of that, e.g. `deployments/dep_…`. */
export const LogName = Schema.String.pipe(
  Schema.check(Schema.isPattern(/^[a-z]{1,32}\/[a-z0-9_]{1,64}$/u)),
  Schema.brand("LogName")
)
export type LogName = typeof LogName.Type

/** A line that has no place in a log yet. */
export type LogEntry = Pick<LogLine, "stream" | "text" | "process">

/** Of a log's lines those that are looked for: `tail` counts these. */
export interface LogReading extends LogSearch {
  readonly log: LogName
  /** Only lines after this position; null: the last `tail` ones. */
  readonly after: number | null
  readonly tail: number
}

export interface LogPage {
  readonly lines: ReadonlyArray<LogLine>
  /** Give it as `after` to read on. */
  readonly last: number | null
  /** There are more lines than `tail`: older ones, or newer ones if `after` was given. */
  readonly truncated: boolean
}

export class Logs extends Context.Service<
  Logs,
  {
    /**
     * Writes the entries one after the other, all or none, and answers with the lines that were written:
     * positions rise by one, the time is now, and a text over 4096 characters is cut. A log that is full
     * takes one line that says so and then none. Called twice it writes twice.
     */
    readonly append: (
      log: LogName,
      entries: ReadonlyArray<LogEntry>
    ) => Effect.Effect<ReadonlyArray<LogLine>, LogsError>
    /** Lines in their order; none when there is no such log. */
    readonly read: (reading: LogReading) => Effect.Effect<LogPage, LogsError>
    /**
     * The last `tail` lines, or all after `after`, and then each new one as it is appended; each once.
     * Ends when the log is removed.
     */
    readonly follow: (reading: LogReading) => Stream.Stream<LogLine, LogsError>
    /** Removes a log with all its lines. Succeeds also when there is nothing to remove. */
    readonly remove: (log: LogName) => Effect.Effect<void, LogsError>
    /** Every log that is there, since its last line. */
    readonly kept: Effect.Effect<ReadonlyArray<Kept<LogName>>, LogsError>
  }
>()("@deploy-mcp/domain/Logs") {}

/** The last line of a log that is full. */
export const fullLine: LogEntry = {
  stream: "platform",
  text: "log limit reached; later lines are dropped"
}

export const isFullLine = (line: LogEntry | undefined): boolean =>
  line?.stream === fullLine.stream && line.text === fullLine.text

/** The line that an entry becomes at a position, in the same words for every provider. */
export const lineOf = ({ text, ...entry }: LogEntry, seq: number, at: number): LogLine => ({
  seq,
  at,
  ...entry,
  text: text.length > maxLineLength ? `${text.slice(0, maxLineLength - 1)}…` : text
})

/** What `read` answers of all the lines that are there. */
export const pageOf = (
  all: ReadonlyArray<LogLine>,
  { after, tail, ...search }: Omit<LogReading, "log">
): LogPage => {
  const isFound = finder(search)
  const found = all.filter((line) => (after === null || line.seq > after) && isFound(line))
  const lines =
    after === null ? found.slice(Math.max(0, found.length - tail)) : found.slice(0, tail)
  return { lines, last: lines.at(-1)?.seq ?? after, truncated: lines.length < found.length }
}
