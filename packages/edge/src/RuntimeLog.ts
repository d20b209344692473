/**
 * What the processes of each stage print: the newest few segments on disk, one JSON object a line,
 * numbered without gaps from the stage's first line on, also across restarts. Where lines are not kept
 * any more, whoever reads is told how many.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync } from "node:fs"
import { appendFile, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { maxLineLength } from "@deploy-mcp/domain/model/LogLine"
import type { LogLines } from "@deploy-mcp/domain/node/NodeProtocol"
import { makeLineRate } from "./LineRate.ts"
import { type Log, reasonOf } from "./Log.ts"

export type StoredLine = LogLines["lines"][number]

export interface RuntimeLog {
  readonly append: (
    stage: string,
    release: string,
    stream: StoredLine["stream"],
    text: string,
    process?: string
  ) => void
  /** Position of the newest line; 0: there is none. */
  readonly newest: (stage: string) => number
  /** At most `limit` lines after position `after`, oldest first. */
  readonly read: (stage: string, after: number, limit: number) => Promise<ReadonlyArray<StoredLine>>
  /** Calls back once: true when there is a line after `after`, false when the stage is removed. */
  readonly onceMore: (stage: string, after: number, callback: (more: boolean) => void) => () => void
  readonly remove: (stage: string) => void
  /** Writes what is still in memory. */
  readonly close: () => Promise<void>
}

export interface RuntimeLogOptions {
  readonly folder: string
  readonly log: Log
  /** Bytes that one stage's log may have. */
  readonly bytes?: number
  /** What is more is left out, and a line of the platform says so. */
  readonly linesPerSecond?: number
  /** Lines of a stage that were not kept. */
  readonly onDropped?: (stage: string, lines: number) => void
}

export const makeRuntimeLog = (options: RuntimeLogOptions): RuntimeLog => {
  const logs = new Map<string, StageLog>()
  const open = (stage: string): StageLog => {
    const held = logs.get(stage)
    if (held !== undefined) return held
    const onDropped = (lines: number) => options.onDropped?.(stage, lines)
    const made = openStageLog(join(options.folder, stage), options, onDropped)
    logs.set(stage, made)
    return made
  }
  const kept = new Set(listFolder(options.folder))
  return {
    append: (stage, release, stream, text, process) => {
      kept.add(stage)
      open(stage).append(release, stream, text, process)
    },
    newest: (stage) => (kept.has(stage) ? open(stage).newest() : 0),
    read: async (stage, after, limit) =>
      kept.has(stage) ? await open(stage).read(after, limit) : [],
    onceMore: (stage, after, callback) => {
      kept.add(stage)
      return open(stage).onceMore(after, callback)
    },
    remove: (stage) => {
      kept.delete(stage)
      logs.get(stage)?.remove()
      logs.delete(stage)
      void rm(join(options.folder, stage), { recursive: true, force: true })
    },
    close: async () => {
      await Promise.all([...logs.values()].map((log) => log.flush()))
    }
  }
}

interface StageLog {
  readonly append: (
    release: string,
    stream: StoredLine["stream"],
    text: string,
    process?: string
  ) => void
  readonly newest: () => number
  readonly read: (after: number, limit: number) => Promise<ReadonlyArray<StoredLine>>
  readonly onceMore: (after: number, callback: (more: boolean) => void) => () => void
  readonly flush: () => Promise<void>
  readonly remove: () => void
}

const openStageLog = (
  folder: string,
  { linesPerSecond = 2_000, log, bytes: maxBytes = 4 * 1024 ** 2 }: RuntimeLogOptions,
  onDropped: (lines: number) => void
): StageLog => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const segmentBytes = Math.ceil(maxBytes / maxSegments)
  const { last, segments } = recover(folder)
  const waiting = new Set<(more: boolean) => void>()
  const pathOf = (segment: Segment): string => join(folder, nameOf(segment.first))
  /** The newest lines; the first `written` of them are on disk, the next `inWrite` on their way. */
  let memory: Array<StoredLine> = []
  let written = 0
  let inWrite = 0
  let seq = last
  let flushing: Promise<void> | null = null
  let removed = false

  const writeSome = async (): Promise<void> => {
    const [next] = memory.slice(written, written + 1)
    if (next === undefined) return
    let segment = segments.at(-1)
    if (segment === undefined || segment.bytes >= segmentBytes) {
      segment = { first: next.seq, bytes: 0 }
      segments.push(segment)
    }
    const taken = takeUpTo(memory, written, segmentBytes - segment.bytes)
    inWrite = taken.count
    try {
      await appendFile(pathOf(segment), taken.text, { mode: 0o600 })
    } catch (error) {
      if (!removed) {
        onDropped(taken.count)
        log(`lost ${taken.count} lines of ${folder}: ${reasonOf(error)}`)
      }
    }
    inWrite = 0
    written += taken.count
    segment.bytes += taken.bytes
    // Somebody follows: what comes now is asked for in a moment.
    const keep = waiting.size > 0 ? followedLines : 0
    if (written > keep * 2) {
      memory = memory.slice(written - keep)
      written = keep
    }
    while (segments.length > maxSegments) {
      const oldest = segments.shift()
      if (oldest !== undefined) await rm(pathOf(oldest), { force: true })
    }
  }

  const writeAll = async (): Promise<void> => {
    // Everything that comes within a few milliseconds is one write.
    await setTimeout(5)
    while (memory.length > written && !removed) await writeSome()
    flushing = null
  }

  const wake = (more: boolean): void => {
    for (const callback of [...waiting]) callback(more)
  }

  const store: StageLog["append"] = (release, stream, text, process) => {
    seq += 1
    const cut = text.length > maxLineLength ? `${text.slice(0, maxLineLength - 1)}…` : text
    const named = process === undefined ? {} : { process }
    memory.push({ seq, at: Date.now(), stream, text: cut, ...named, release })
    // The disk is slower than the process: lines that are not on their way are lost, as a gap shows.
    if (memory.length - written > maxPending) {
      onDropped(memory.splice(written + inWrite, 1_000).length)
    }
    flushing ??= writeAll()
    wake(true)
  }
  let talker = ""
  const rate = makeLineRate(linesPerSecond, (lines) => {
    onDropped(lines)
    const most = `at most ${linesPerSecond} a second are kept`
    if (!removed) store(talker, "platform", `${lines} lines were left out here: ${most}.`)
  })

  return {
    append: (release, stream, text, process) => {
      if (removed) return
      talker = release
      if (stream === "platform" || rate.admit()) store(release, stream, text, process)
    },
    newest: () => seq,
    read: async (after, limit) => {
      // This array keeps what it has, also when a write that ends meanwhile replaces it.
      const fresh = memory
      const oldest = fresh[0]?.seq ?? seq + 1
      if (after >= oldest - 1) return told(linesAfter(fresh, after, limit), after, limit)
      const lines: Array<StoredLine> = []
      for (const [index, segment] of segments.entries()) {
        const next = segments[index + 1]
        if (lines.length >= limit || (next !== undefined && next.first - 1 <= after)) continue
        const text = await readFile(pathOf(segment), "utf8").catch(() => "")
        lines.push(...linesAfter(parse(text), lines.at(-1)?.seq ?? after, limit - lines.length))
      }
      lines.push(...linesAfter(fresh, lines.at(-1)?.seq ?? after, limit - lines.length))
      return told(lines, after, limit)
    },
    onceMore: (after, callback) => {
      const once = (more: boolean): void => {
        waiting.delete(once)
        callback(more)
      }
      waiting.add(once)
      if (removed || seq > after) queueMicrotask(() => waiting.has(once) && once(!removed))
      return () => waiting.delete(once)
    },
    flush: async () => {
      rate.flush()
      await flushing
    },
    remove: () => {
      removed = true
      rate.flush()
      wake(false)
    }
  }
}

/** A segment's name is the position of its first line. */
interface Segment {
  readonly first: number
  bytes: number
}

const maxSegments = 4

/** Lines that stay in memory while somebody follows. */
const followedLines = 1_000
const maxPending = 50_000

const nameOf = (first: number): string => `${String(first).padStart(12, "0")}.ndjson`

const listFolder = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

/** The segments that are there and the last position; what a kill left half-written is cut off. */
const recover = (folder: string) => {
  const segments: Array<Segment> = []
  for (const name of listFolder(folder)) {
    const first = Number(name.replace(/\.ndjson$/u, ""))
    if (!Number.isSafeInteger(first) || first < 1) continue
    segments.push({ first, bytes: statSync(join(folder, name)).size })
  }
  const newest = segments.at(-1)
  if (newest === undefined) return { last: 0, segments }
  const path = join(folder, nameOf(newest.first))
  const content = readFileSync(path)
  newest.bytes = content.lastIndexOf(10) + 1
  if (newest.bytes < content.length) truncateSync(path, newest.bytes)
  const start = content.lastIndexOf(10, newest.bytes - 2) + 1
  const [line] = parse(content.toString("utf8", start, newest.bytes))
  return { last: line?.seq ?? newest.first - 1, segments }
}

const takeUpTo = (lines: ReadonlyArray<StoredLine>, start: number, bytes: number) => {
  let text = ""
  let count = 0
  let size = 0
  for (let at = start; at < lines.length && (count === 0 || size < bytes); at += 1) {
    const json = `${JSON.stringify(lines[at])}\n`
    text += json
    size += Buffer.byteLength(json)
    count += 1
  }
  return { text, count, bytes: size }
}

/** We wrote these lines ourselves; a damaged one is left out. */
const parse = (text: string): Array<StoredLine> => {
  const lines: Array<StoredLine> = []
  for (const json of text.split("\n")) {
    if (json === "") continue
    try {
      lines.push(JSON.parse(json))
    } catch {}
  }
  return lines
}

/** With a line of the platform in front of each one that does not follow the line before it. */
const told = (lines: ReadonlyArray<StoredLine>, after: number, limit: number) =>
  lines
    .flatMap((line, at): ReadonlyArray<StoredLine> => {
      const missing = line.seq - (lines[at - 1]?.seq ?? after) - 1
      if (missing <= 0) return [line]
      const text = `${missing} lines that stood here are not kept.`
      const { release } = line
      return [{ seq: line.seq - 1, at: line.at, stream: "platform", text, release }, line]
    })
    .slice(0, Math.max(0, limit))

const linesAfter = (lines: ReadonlyArray<StoredLine>, from: number, limit: number) => {
  const start = lines.findIndex((line) => line.seq > from)
  return start === -1 ? [] : lines.slice(start, start + Math.max(0, limit))
}
