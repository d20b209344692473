import { readFileSync } from "node:fs"
import { createServer } from "node:http"

// Change it, push, and the new one answers.
const version = "1"
const built = readFileSync("built.txt", "utf8")

const server = createServer((_, response) => {
  response.setHeader("content-type", "text/plain; charset=utf-8")
  response.end(`Hello from a Dockerfile, version ${version}, built ${built}\n`)
})

server.listen(process.env.PORT ?? 8080, () => console.log("listening"))

process.on("SIGTERM", () => server.close(() => process.exit(0)))
