import { createServer } from "node:http"

// Change it, push, and the new one answers.
const version = "1"

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost")
  if (pathname === "/env") {
    const { GREETING = null, NODE_ENV = null } = process.env
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify({ GREETING, NODE_ENV, names: Object.keys(process.env).sort() }))
    return
  }
  response.setHeader("content-type", "text/plain; charset=utf-8")
  response.end(`Hello from Node.js ${process.version}, version ${version}\n`)
})

server.listen(process.env.PORT, () => console.log(`listening on ${process.env.PORT}`))

process.on("SIGTERM", () => server.close(() => process.exit(0)))
