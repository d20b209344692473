/** `node edge.mjs`: settings from the environment, one edge until it is told to stop. */
import { join } from "node:path"
import { startEdge } from "./Edge.ts"
import { HomeIsHeld } from "./Home.ts"
import { reasonOf, stderrLog } from "./Log.ts"
import { makeProcesses } from "./process/MakeProcesses.ts"

const { env } = process

// Tenants' processes live and die with this one: a fault in one request must not end them all.
process.on("uncaughtException", (error) => stderrLog(`fault: ${error.stack ?? reasonOf(error)}`))

try {
  const edge = await startEdge({
    home: env.DEPLOY_MCP_HOME ?? join(process.cwd(), ".deploy-mcp"),
    appsPort: Number(env.DEPLOY_MCP_APPS_PORT ?? 8080),
    appsDomain: env.DEPLOY_MCP_APPS_DOMAIN ?? "localhost",
    makeProcesses
  })
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void edge.close())
  await edge.closed
  process.exit(0)
} catch (error) {
  stderrLog(`did not start: ${reasonOf(error)}`)
  process.exit(error instanceof HomeIsHeld ? 3 : 1)
}
