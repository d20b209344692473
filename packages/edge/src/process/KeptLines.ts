/** Passes on what a run prints and keeps the last lines of it, which tell best why it ended. */
import { keptLines } from "@deploy-mcp/domain/node/ExplainExit"
import type { ProcessRequest } from "./Processes.ts"

export const keepLines = (pass: ProcessRequest["onLine"]) => {
  const lines: Array<string> = []
  const onLine: ProcessRequest["onLine"] = (stream, text) => {
    if (stream !== "platform") lines.push(text)
    if (lines.length > keptLines) lines.shift()
    pass(stream, text)
  }
  return { lines, onLine }
}
