/**
 * A service that writes down each byte it is sent and reads it more strictly than any framework: what
 * it accepts leaves no reader a choice.
 */
import { once } from "node:events"
import { createServer, type Socket } from "node:net"
import type { EndpointWorkload } from "@deploy-mcp/domain/node/NodeProtocol"

export interface StrictService {
  readonly to: EndpointWorkload
  /** Whole requests since the last time, each as `<first line>\n<field>…\n\n<body>`. */
  readonly take: () => ReadonlyArray<string>
  /** What since the last time could have been read in more than one way; nothing when all is well. */
  readonly takeDoubts: () => ReadonlyArray<string>
  readonly close: () => void
}

export const startStrictService = async (name: string): Promise<StrictService> => {
  let requests: Array<string> = []
  let doubts: Array<string> = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    let rest = ""
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket)).on("error", () => {})
    socket.setEncoding("latin1").on("data", (chunk) => {
      rest += chunk
      for (;;) {
        const read = readOne(rest)
        if (read === null) return
        if ("doubt" in read) {
          doubts.push(`${read.doubt}: ${JSON.stringify(rest.slice(0, 300))}`)
          return void socket.destroy()
        }
        rest = rest.slice(read.length)
        requests.push(read.request)
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`)
      }
    })
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    to: { kind: "endpoint", host: "127.0.0.1", port },
    take: () => {
      const taken = requests
      requests = []
      return taken
    },
    takeDoubts: () => {
      const taken = doubts
      doubts = []
      return taken
    },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}

type Read = { readonly length: number; readonly request: string } | { readonly doubt: string }

/** Null: it is not all there yet. */
const readOne = (text: string): Read | null => {
  const end = text.indexOf("\r\n\r\n")
  if (end === -1) return null
  const [first = "", ...fields] = text.slice(0, end).split("\r\n")
  if (!/^[A-Z]+ (?:\/[\x21-\xff]*|\*) HTTP\/1\.1$/u.test(first)) return { doubt: "first line" }
  const odd = fields.find((line) => !/^[\w!#$%&'*+.^`|~-]+: ?[\t\x20-\x7e\x80-\xff]*$/u.test(line))
  if (odd !== undefined) return { doubt: "field" }
  const valuesOf = (name: string) =>
    fields.filter((line) => line.toLowerCase().replaceAll("_", "-").startsWith(`${name}:`))
  if (valuesOf("host").length !== 1) return { doubt: "Host" }
  const framings = [...valuesOf("content-length"), ...valuesOf("transfer-encoding")]
  if (framings.length > 1) return { doubt: "framing" }
  const head = `${first}\n${fields.join("\n")}\n\n`
  const framing = framings[0]?.toLowerCase() ?? "content-length: 0"
  const from = end + 4
  if (framing === "transfer-encoding: chunked") return readChunks(text, from, head)
  const length = /^content-length: (0|[1-9]\d*)$/u.exec(framing)?.[1]
  if (length === undefined) return { doubt: "length" }
  const to = from + Number(length)
  return text.length < to ? null : { length: to, request: head + text.slice(from, to) }
}

const readChunks = (text: string, from: number, head: string): Read | null => {
  let body = ""
  for (let at = from; ; ) {
    const line = text.indexOf("\r\n", at)
    if (line === -1) return null
    const digits = text.slice(at, line)
    if (!/^[0-9a-f]+$/u.test(digits)) return { doubt: "chunk" }
    const size = Number.parseInt(digits, 16)
    if (size === 0) {
      const end = text.indexOf("\r\n\r\n", line)
      if (end === -1) return null
      return end === line ? { length: end + 4, request: head + body } : { doubt: "trailers" }
    }
    at = line + 2 + size + 2
    if (text.length < at) return null
    if (text.slice(at - 2, at) !== "\r\n") return { doubt: "chunk's end" }
    body += text.slice(line + 2, at - 2)
  }
}
