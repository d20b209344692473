/** Cuts what a process prints into lines; memory stays bounded whatever it prints. */
import type { Readable } from "node:stream"
import { StringDecoder } from "node:string_decoder"

/** Longer lines are cut and end in `…`; the same length as a log line of the platform has. */
export const maxLineLength = 4096

export const readLines = (stream: Readable, onLine: (line: string) => void): void => {
  const decoder = new StringDecoder("utf8")
  let partial = ""
  let cut = false
  const add = (text: string) => {
    if (cut) return
    const whole = partial + text.slice(0, maxLineLength - partial.length + 1)
    cut = whole.length > maxLineLength
    partial = cut ? `${whole.slice(0, maxLineLength - 1)}…` : whole
  }
  const flush = () => {
    onLine(partial.endsWith("\r") ? partial.slice(0, -1) : partial)
    partial = ""
    cut = false
  }
  const feed = (text: string) => {
    let from = 0
    for (let to = text.indexOf("\n"); to !== -1; to = text.indexOf("\n", from)) {
      add(text.slice(from, to))
      flush()
      from = to + 1
    }
    add(text.slice(from))
  }
  stream.on("data", (chunk: Buffer) => feed(decoder.write(chunk)))
  stream.once("close", () => {
    feed(decoder.end())
    if (partial !== "") flush()
  })
  // A reset pipe is an end like any other.
  stream.on("error", () => {})
  stream.resume()
}
