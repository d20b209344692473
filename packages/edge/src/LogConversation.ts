/** Answers one LogsRequest: the tail or what came after a position, then new lines as they come. */
import type { LogLines, ToEdge } from "@deploy-mcp/domain/node/NodeProtocol"
import type { RuntimeLog } from "./RuntimeLog.ts"

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
    const end = request.follow ? Number.POSITIVE_INFINITY : runtimeLog.newest(stage)
    let at = request.after ?? Math.max(0, runtimeLog.newest(stage) - Math.max(0, request.tail))
    while (!over && at < end) {
      const lines = await runtimeLog.read(stage, at, batchLines)
      if (over) return
      if (lines.length > 0) {
        outlet.send({ type: "lines", id: request.id, lines, done: false })
        at = lines.at(-1)?.seq ?? at
        await outlet.drained()
      } else if (!request.follow || !(await more(stage, at))) break
    }
    finish()
  }
  const more = (stage: string, at: number): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    forget = runtimeLog.onceMore(stage, at, resolve)
    return promise
  }

  run().catch(finish)
  return { stop: finish }
}

const batchLines = 500
