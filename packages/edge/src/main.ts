/** `node edge.mjs`: settings from the environment, one edge until it is told to stop. */
import { join } from "node:path"
import { startEdge } from "./Edge.ts"
import { HomeIsHeld } from "./Home.ts"
import { reasonOf, stderrLog } from "./Log.ts"
import { makeProcesses } from "./process/MakeProcesses.ts"

const { env } = process

// Tenants' processes live and die with this one: a fault in one request must not end them all.
process.on("uncaughtException", (error) => stderrLog(`fault: ${error.stack ?? reasonOf(error)}`))

// A signal that comes while the edge starts ends it when it has started: half a start leaves things behind.
const { promise: told, resolve: tell } = Promise.withResolvers<void>()
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => tell())

try {
  const edge = await startEdge({
    home: env.DEPLOY_MCP_HOME ?? join(process.cwd(), ".deploy-mcp"),
    appsPort: Number(env.DEPLOY_MCP_APPS_PORT ?? 8080),
    appsDomain: env.DEPLOY_MCP_APPS_DOMAIN ?? "localhost",
    makeProcesses
  })
  void told.then(edge.close)
  await edge.closed
  process.exit(0)
} catch (error) {
  stderrLog(`did not start: ${reasonOf(error)}`)
  process.exit(error instanceof HomeIsHeld ? 3 : 1)
}
