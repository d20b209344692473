/**
 * What a platform has to be measured against, as a process of its own: git over plain
 * `git http-backend`, a static file, given bytes, and a write that is safe on disk. It prints its
 * port and serves the folder that it is given until its standard input ends.
 */
import { execFileSync, spawn } from "node:child_process"
import { fsyncSync, openSync, readFileSync, writeSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { join } from "node:path"
import { buffer } from "node:stream/consumers"

const [folder = "."] = process.argv.slice(2)
const journal = openSync(join(folder, "journal"), "a")
let given = { type: "application/json", bytes: Buffer.from("{}") }

const serve = async (request: IncomingMessage, response: ServerResponse) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost")
  if (pathname.startsWith("/git/"))
    return backend(pathname.slice(4), searchParams, request, response)
  if (pathname.startsWith("/site/")) {
    response.setHeader("content-type", "text/html")
    return response.end(readFileSync(join(folder, pathname.slice(1), "index.html")))
  }
  const body = await buffer(request)
  if (request.method === "PUT") given = { type: request.headers["content-type"] ?? "", bytes: body }
  if (pathname === "/durable") {
    writeSync(journal, body)
    fsyncSync(journal)
  }
  response.setHeader("content-type", given.type)
  return response.end(given.bytes)
}

const programs = execFileSync("git", ["--exec-path"], { encoding: "utf8" }).trim()

/** What every git host asks of git; housekeeping is no part of a push on either side. */
const gitConfig = [
  ["http.receivepack", "true"],
  ["transfer.fsckObjects", "true"],
  ["receive.autogc", "false"]
].flatMap(([key = "", value = ""], index) => [
  [`GIT_CONFIG_KEY_${index}`, key],
  [`GIT_CONFIG_VALUE_${index}`, value]
])

/** The least that a git host does: it asks for a password, because a push wants a user. */
const backend = (
  path: string,
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse
) => {
  if (request.headers.authorization === undefined) {
    return response.writeHead(401, { "www-authenticate": 'Basic realm="floor"' }).end()
  }
  const { headers, method = "GET" } = request
  const child = spawn(join(programs, "git-http-backend"), [], {
    stdio: ["pipe", "pipe", "ignore"],
    env: {
      PATH: process.env.PATH,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_COUNT: String(gitConfig.length / 2),
      ...Object.fromEntries(gitConfig),
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: path,
      REQUEST_METHOD: method,
      QUERY_STRING: query.toString(),
      REMOTE_USER: "pusher",
      CONTENT_TYPE: headers["content-type"],
      HTTP_CONTENT_ENCODING: headers["content-encoding"],
      GIT_PROTOCOL: String(headers["git-protocol"] ?? "")
    }
  })
  request.pipe(child.stdin)
  child.stdin.on("error", () => {})
  let head = Buffer.alloc(0)
  const readHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf("\r\n\r\n")
    if (end < 0) return
    child.stdout.off("data", readHead)
    const fields = head.subarray(0, end).toString("latin1").split("\r\n")
    for (const field of fields) {
      const [name = "", value = ""] = field.split(": ", 2)
      if (name === "Status") response.statusCode = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.write(head.subarray(end + 4))
    child.stdout.pipe(response)
  }
  child.stdout.on("data", readHead)
}

const server = createServer((request, response) => void serve(request, response))
server.keepAliveTimeout = 600_000
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  console.log(typeof address === "object" && address !== null ? address.port : 0)
})
process.stdin.resume().on("end", () => process.exit(0))
