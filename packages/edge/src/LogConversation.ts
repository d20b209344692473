/**
 * Answers one LogsRequest: the tail or what came after a position, of these what is searched for,
 * then new lines as they come.
 */
import { finder } from "@deploy-mcp/domain/model/LogLine"
import type { LogLines, ToEdge } from "@deploy-mcp/domain/node/NodeProtocol"
import type { RuntimeLog, StoredLine } from "./RuntimeLog.ts"

type LogsRequest = Extract<ToEdge, { readonly type: "logs" }>

export interface LogConversation {
  /** Sends a last, empty `done` and ends. */
  readonly stop: () => void
}

export interface Outlet {
  readonly send: (message: LogLines) => void
  /** Resolves when what was sent has left: a slow reader slows its own log down, not our memory. */
  readonly drained: () => Promise<void>
}

export const answerLogs = (
  request: LogsRequest,
  runtimeLog: RuntimeLog,
  outlet: Outlet
): LogConversation => {
  let over = false
  let forget = (): void => {}
  const finish = (): void => {
    if (over) return
    over = true
    forget()
    outlet.send({ type: "lines", id: request.id, lines: [], done: true })
  }

  const run = async (): Promise<void> => {
    const { stage } = request
    const newest = runtimeLog.newest(stage)
    const end = request.follow ? Number.POSITIVE_INFINITY : newest
    const wanted = filterOf(request)
    let at = request.after ?? Math.max(0, newest - Math.max(0, request.tail))
    if (wanted !== null && request.after === null) {
      const found = await search(wanted, newest)
      at = newest
      for (let from = 0; from < found.length && !over; from += batchLines) {
        await send(found.slice(from, from + batchLines))
      }
    }
    while (!over && at < end) {
      const lines = await runtimeLog.read(stage, at, batchLines)
      if (over) return
      if (lines.length > 0) {
        at = lines.at(-1)?.seq ?? at
        const fitting = wanted === null ? lines : lines.filter(wanted)
        if (fitting.length > 0) await send(fitting)
      } else if (!request.follow || !(await more(stage, at))) break
    }
    finish()
  }
  const send = (lines: ReadonlyArray<StoredLine>): Promise<void> => {
    outlet.send({ type: "lines", id: request.id, lines, done: false })
    return outlet.drained()
  }
  /** The last `tail` lines up to position `newest` that are wanted. */
  const search = async (wanted: (line: StoredLine) => boolean, newest: number) => {
    let found: Array<StoredLine> = []
    for (let at = 0; at < newest && !over; ) {
      const lines = await runtimeLog.read(request.stage, at, searchedLines)
      const last = lines.at(-1)
      if (last === undefined) break
      at = last.seq
      found.push(...lines.filter((line) => line.seq <= newest && wanted(line)))
      found = request.tail > 0 ? found.slice(-request.tail) : []
    }
    return found
  }
  const more = (stage: string, at: number): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    forget = runtimeLog.onceMore(stage, at, resolve)
    return promise
  }

  run().catch(finish)
  return { stop: finish }
}

/** Null: every line is wanted. */
const filterOf = (request: LogsRequest) =>
  request.contains === undefined && request.since === undefined ? null : finder(request)

const batchLines = 500
/** A segment is read as a whole anyway. */
const searchedLines = 10_000
