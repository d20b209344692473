/** What comes over the control socket, from bytes to checked messages. */
import { StageSpec, ToEdge } from "@deploy-mcp/domain/node/NodeProtocol"
import { Result, Schema } from "effect"

/** A snapshot of a full node is a few MiB; more than this is a fault of the sender. */
export const maxMessageBytes = 64 * 1024 * 1024

/** Splits a byte stream at newlines; throws when a line is longer than `limit` bytes. */
export const makeLineSplitter = (onLine: (line: string) => void, limit = maxMessageBytes) => {
  let parts: Array<Buffer> = []
  let held = 0
  return (chunk: Buffer): void => {
    let from = 0
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      const tail = chunk.subarray(from, at)
      from = at + 1
      const line = held === 0 ? tail : Buffer.concat([...parts, tail])
      parts = []
      held = 0
      if (line.length > limit) throw new Error(`a message is longer than ${limit} bytes`)
      if (line.length > 0) onLine(line.toString("utf8"))
    }
    if (from === chunk.length) return
    parts.push(chunk.subarray(from))
    held += chunk.length - from
    if (held > limit) throw new Error(`a message is longer than ${limit} bytes`)
  }
}

/** The message, or why it is none in a sentence that repeats no value of it. */
export const decodeMessage = (line: string): ToEdge | string => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return "the line is not JSON; send one message a line"
  }
  const result = decodeToEdge(value)
  if (Result.isSuccess(result)) return result.success
  const type = typeof value === "object" && value !== null && "type" in value ? value.type : null
  return `the message of type ${JSON.stringify(type)?.slice(0, 40)} does not fit the protocol`
}

/** A stage as it lies on disk; null when the text is damaged. */
export const decodeStage = (text: string): StageSpec | null => {
  try {
    return decodeStageSpec(JSON.parse(text))
  } catch {
    return null
  }
}

const decodeToEdge = Schema.decodeUnknownResult(ToEdge)
const decodeStageSpec = Schema.decodeUnknownSync(StageSpec)
