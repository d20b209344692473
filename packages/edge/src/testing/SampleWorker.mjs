// A tenant's worker for the edge's tests: says who it is, and ends when it is asked to and may.
import { existsSync } from "node:fs"

const { MAY_END: mayEnd, NAME: name = "unnamed", PORT: port = "unset" } = process.env
const say = (text) => process.stdout.write(`${name} ${text}\n`)

process.on("SIGTERM", () => {
  say("is asked to end")
  setInterval(() => {
    if (mayEnd !== undefined && !existsSync(mayEnd)) return
    say("has ended")
    process.exit(0)
  }, 20)
})
process.on("SIGUSR2", () => process.exit(9))
setInterval(() => {}, 1_000)
say(`works with PORT ${port}`)
