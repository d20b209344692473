/** An edge of its own for `wake`: on `home`, and frozen releases are stopped after `frozenMs`. */
import { startEdge } from "@deploy-mcp/edge/Edge"
import { makeProcesses } from "@deploy-mcp/edge/process/MakeProcesses"

const [home = "", frozenMs = ""] = process.argv.slice(2)
const edge = await startEdge({
  home,
  appsPort: 0,
  appsDomain: "localhost",
  makeProcesses,
  log: () => {},
  frozenMs: Number(frozenMs)
})
process.once("SIGTERM", () => void edge.close().then(() => process.exit(0)))
console.log(edge.appsPort)
