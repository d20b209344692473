const express = require("express")

// Change it, push, and the new one answers.
const version = "1"

const app = express()
app.get("/", (_request, response) => {
  response.type("text").send(`Hello from Express, version ${version}\n`)
})
app.get("/healthz", (_request, response) => response.json({ ok: true, version }))

const server = app.listen(process.env.PORT, () => {
  console.log(`listening on ${process.env.PORT}`)
})

process.on("SIGTERM", () => server.close(() => process.exit(0)))
