/** A log in a file of JSON lines. Synchronous: a line is either in it or not. */
import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs"
import { dirname } from "node:path"
import { fullLine, isFullLine, type LogEntry, lineOf } from "@deploy-mcp/domain/Logs"
import { LogLine } from "@deploy-mcp/domain/model/LogLine"
import { Option, Schema } from "effect"

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(LogLine))

/** Where the next line goes. */
interface End {
  readonly seq: number
  readonly bytes: number
  readonly isFull: boolean
}

export interface LogFile {
  readonly append: (entries: ReadonlyArray<LogEntry>, at: number) => ReadonlyArray<LogLine>
  readonly readAll: () => ReadonlyArray<LogLine>
  readonly remove: () => void
}

export const open = (file: string, maxBytes: number): LogFile => {
  let known: End | null = null
  return {
    append: (entries, at) => {
      // Somebody else may have written to the file or removed it since.
      const end = known !== null && sizeOf(file) === known.bytes ? known : mend(file)
      known = end
      const { lines, text, ...next } = added(end, entries, at, maxBytes)
      if (lines.length === 0) return lines
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
      appendFileSync(file, text, { mode: 0o600 })
      known = next
      return lines
    },
    readAll: () => readLines(file),
    remove: () => {
      known = null
      rmSync(file, { force: true })
    }
  }
}

const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0

/** Takes away what a kill or a full disk in the middle of a write left of a line, and finds the end. */
const mend = (file: string): End => {
  const bytes = contentsOf(file).lastIndexOf("\n") + 1
  if (bytes < sizeOf(file)) truncateSync(file, bytes)
  const last = readLines(file).at(-1)
  return { seq: last?.seq ?? 0, bytes, isFull: isFullLine(last) }
}

const added = (end: End, entries: ReadonlyArray<LogEntry>, at: number, maxBytes: number) => {
  const lines: Array<LogLine> = []
  let { seq, bytes, isFull } = end
  let text = ""
  const add = (line: LogLine, json = `${JSON.stringify(line)}\n`) => {
    lines.push(line)
    text += json
    bytes += Buffer.byteLength(json)
    seq = line.seq
  }
  for (const entry of entries) {
    if (isFull) break
    const line = lineOf(entry, seq + 1, at)
    const json = `${JSON.stringify(line)}\n`
    isFull = bytes + Buffer.byteLength(json) > maxBytes
    if (isFull) add(lineOf(fullLine, seq + 1, at))
    else add(line, json)
  }
  return { seq, bytes, isFull, lines, text }
}

/** Whatever is no line of ours is left out, so that its position is missing. */
const readLines = (file: string): ReadonlyArray<LogLine> =>
  contentsOf(file)
    .toString("utf8")
    .split("\n")
    .slice(0, -1)
    .flatMap((line) => Option.toArray(decode(line)))

/** Nothing when there is no file; a file that cannot be read is an error. */
const contentsOf = (file: string): Buffer => {
  try {
    return readFileSync(file)
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return Buffer.alloc(0)
    throw cause
  }
}
