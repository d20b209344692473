const http = require("node:http")
const isNumber = require("is-number")

const version = "1"

const server = http.createServer((request, response) => {
  response.end(`Hello from bun, version ${isNumber(version) ? version : "unknown"}\n`)
})
server.listen(process.env.PORT)
process.on("SIGTERM", () => server.close(() => process.exit(0)))
