// A tenant's app for the edge's tests: each route shows one thing that a proxy can get wrong.
import { createHash, randomUUID } from "node:crypto"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import { setTimeout } from "node:timers/promises"
import { acceptMessages } from "./Messages.mjs"

const name = process.env.NAME ?? "unnamed"
const held = new Map()

const born = randomUUID()

const routes = {
  "/": (_request, response) => response.end(name),
  // Tells one run from another.
  "/born": (_request, response) => response.end(born),
  "/fields": (request, response) => {
    response.writeHead(200, [
      "X-Drop-Me",
      "1",
      "X-Keep-Me",
      "1",
      "Connection",
      "x-drop-me",
      "Keep-Alive",
      "timeout=9"
    ])
    response.end(JSON.stringify({ fields: request.rawHeaders, url: request.url }))
  },
  "/hash": async (request, response) => {
    const hash = createHash("sha256")
    let bytes = 0
    for await (const chunk of request) {
      bytes += chunk.length
      hash.update(chunk)
    }
    response.end(`${bytes} ${hash.digest("hex")}`)
  },
  "/download": (_request, response) => {
    const block = Buffer.alloc(1024 * 1024, "0123456789abcdef")
    let left = 50
    const more = () => {
      while (left > 0) {
        left -= 1
        if (!response.write(block)) return response.once("drain", more)
      }
      response.end()
    }
    more()
  },
  // Answers with its head, then one chunk for each /release of the same key; "end" ends it.
  "/held": (request, response, key) => {
    held.set(key, response)
    request.once("close", () => {})
    response.once("close", () => {
      if (!response.writableFinished) process.stdout.write(`aborted ${key}\n`)
    })
    response.writeHead(200)
    response.flushHeaders()
  },
  "/release": (_request, response, key) => {
    const [id, chunk] = key.split(":")
    if (chunk === "end") held.get(id)?.end()
    else held.get(id)?.write(chunk)
    response.end("ok")
  },
  // Reads the body, then answers with what came after it, and with trailers of its own.
  "/trailers": async (request, response) => {
    for await (const _ of request);
    if (request.method === "HEAD") {
      // Node's own server refuses to say this much without a body; others do.
      const head = "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\nConnection: close"
      return request.socket.end(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`)
    }
    response.writeHead(200, { Trailer: "X-Sum" })
    response.write(JSON.stringify({ trailers: request.rawTrailers, fields: request.rawHeaders }))
    response.addTrailers([
      ["X-Sum", "42"],
      ["Set-Cookie", "stolen=1"]
    ])
    response.end()
  },
  "/hints": (_request, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style", "x-early": "1" })
    response.end(name)
  },
  "/silent": () => {},
  "/events": (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write("data: first\n\n")
  },
  // Reads nothing of the body until /release of the same key.
  "/slow-upload": async (request, response, key) => {
    held.set(key, { write: () => request.resume() })
    request.pause()
    request.once("end", () => response.end("read"))
  },
  "/early": (request, response) => {
    response.writeHead(413)
    response.end(`stop after ${request.headers["content-length"]}`)
  },
  "/cut": (request) => request.socket.destroy(),
  "/half": (request, response) => {
    response.write("half", () => request.socket.destroy())
  },
  // Answers, then closes the kept connection when the next request is already on its way.
  "/once": (request, response) => {
    const { socket } = request
    response.end(name)
    socket.removeAllListeners("data")
    socket.once("data", () => socket.resetAndDestroy())
  },
  "/print": (_request, response, key) => {
    const [count, text] = key.split(":")
    let out = ""
    for (let at = 1; at <= Number(count); at += 1) out += `${text} ${at}\n`
    process.stdout.write(out, () => response.end("ok"))
  },
  "/exit": (_request, response) => response.end("bye", () => process.exit(7))
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://app")
  const route = routes[pathname]
  if (route) return void route(request, response, searchParams.get("key") ?? "")
  response.writeHead(404)
  response.end("no such route")
})
server.on("upgrade", (request, socket, head) => {
  if (request.headers.upgrade === "websocket") return acceptMessages(request, socket, name)
  if (request.headers.upgrade === "silent") return
  if (request.headers.upgrade !== "echo") {
    socket.end("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")
    return
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Name: ${name}\r\n\r\n`
  )
  if (head.length > 0) socket.write(head)
  socket.pipe(socket)
})
server.keepAliveTimeout = 60_000
if (process.env.BROKEN === "exit") process.exit(3)
if (existsSync(process.env.FAILS_IF ?? "")) process.exit(3)
while (existsSync(process.env.WAITS_IF ?? "")) await setTimeout(5)
if (process.env.BROKEN !== "silent") server.listen(Number(process.env.PORT))
else setInterval(() => {}, 1_000)
if (process.env.TICKS) setInterval(() => {}, 1)
process.on("SIGTERM", () => process.exit(0))
process.stdout.write(`${name} is listening\n`)
