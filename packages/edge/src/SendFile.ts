/** Answers a GET or HEAD with a file: conditions, one range, the head, and the body or none. */
import { type FileHandle, open } from "node:fs/promises"
import type { IncomingMessage, ServerResponse } from "node:http"
import { pipeline } from "node:stream"
import { preconditionFailed, sendPage } from "./Pages.ts"
import { type ByteRange, judge, rangeOf } from "./Preconditions.ts"
import type { ServedFile } from "./ServedFile.ts"

export interface SendOptions {
  /** Milliseconds since 1970, whole seconds. Absent: Last-Modified is not told. */
  readonly modified?: number
  /** A field of the request that chose the file, besides Accept-Encoding. */
  readonly vary?: string
  /** 404: the file is the site's own page for it, so conditions and ranges don't count. */
  readonly status?: 200 | 404
}

export const sendFile = (
  request: IncomingMessage,
  response: ServerResponse,
  file: ServedFile,
  { modified = 0, status = 200, vary }: SendOptions
): void => {
  if (response.destroyed) return
  const { headers } = request
  const validators = { etag: file.etag, modified }
  const verdict = status === 200 ? judge(headers, validators) : "content"
  if (verdict === "precondition_failed") {
    sendPage(request, response, preconditionFailed)
    return
  }
  const head = ["ETag", file.etag, "Cache-Control", file.cacheControl]
  const varies = file.varies ? (vary === undefined ? "Accept-Encoding" : bothWith(vary)) : vary
  if (varies !== undefined) head.push("Vary", varies)
  if (verdict === "not_modified") {
    response.writeHead(304, head)
    response.end()
    return
  }
  head.push("Content-Type", file.contentType)
  if (modified > 0) head.push("Last-Modified", dateText(modified))
  if (file.coding === null) head.push("Accept-Ranges", "bytes")
  else head.push("Content-Encoding", file.coding)
  const ranged = status === 200 && file.coding === null && request.method === "GET"
  const range =
    ranged && headers.range !== undefined ? rangeOf(headers, validators, file.size) : null
  if (range === "unsatisfiable") {
    response.writeHead(416, ["Content-Range", `bytes */${file.size}`, "Content-Length", "0"])
    response.end()
    return
  }
  const part = range ?? { start: 0, end: file.size - 1 }
  head.push("Content-Length", String(part.end - part.start + 1))
  if (range !== null) head.push("Content-Range", `bytes ${part.start}-${part.end}/${file.size}`)
  const code = range === null ? status : 206
  if (request.method === "HEAD" || part.end < part.start) {
    response.writeHead(code, head)
    response.end()
  } else if (file.body !== null) {
    response.writeHead(code, head)
    response.end(range === null ? file.body : file.body.subarray(part.start, part.end + 1))
  } else {
    stream(response, file.path, part, () => response.writeHead(code, head))
  }
}

const bothWith = (vary: string): string => `Accept-Encoding, ${vary}`

/** The last date asked for: most requests to a node are for few releases. */
let dated = { time: 0, text: "" }
const dateText = (time: number): string => {
  if (dated.time !== time) dated = { time, text: new Date(time).toUTCString() }
  return dated.text
}

/** The head waits until the file is open: one that can't be read must not look like a cut answer. */
const stream = async (
  response: ServerResponse,
  path: string,
  { end, start }: ByteRange,
  begin: () => void
): Promise<void> => {
  let handle: FileHandle
  try {
    handle = await open(path)
  } catch {
    response.destroy()
    return
  }
  if (response.destroyed) return void handle.close()
  begin()
  // A client that leaves is no fault.
  pipeline(handle.createReadStream({ start, end }), response, () => {})
}
