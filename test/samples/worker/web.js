import { createServer } from "node:http"

// Change it, push, and the new one answers.
const version = "1"

const server = createServer((request, response) => {
  response.setHeader("content-type", "text/plain; charset=utf-8")
  response.end(`Hello from web, version ${version}\n`)
})

server.listen(process.env.PORT, () => console.log(`listening on ${process.env.PORT}`))

process.on("SIGTERM", () => server.close(() => process.exit(0)))
