/** `node edge.mjs`: settings from the environment, one edge until it is told to stop. */
import { join } from "node:path"
import { defaultBackoff, defaultPauseAfter } from "@deploy-mcp/domain/node/Backoff"
import { type EgressPolicy, parseAllowedRanges } from "@deploy-mcp/domain/node/EgressPolicy"
import {
  isSandboxChoice,
  type SandboxChoice,
  sandboxChoices
} from "@deploy-mcp/domain/node/SandboxChoice"
import { startEdge } from "./Edge.ts"
import { HomeIsHeld } from "./Home.ts"
import { reasonOf, stderrLog } from "./Log.ts"
import { makeProcesses } from "./process/MakeProcesses.ts"

const { env } = process
const home = env.DEPLOY_MCP_HOME ?? join(process.cwd(), ".deploy-mcp")
const log = stderrLog(join(home, "logs", "edge.log"))

// Tenants' processes live and die with this one: a fault in one request must not end them all.
process.on("uncaughtException", (error) => log(`fault: ${error.stack ?? reasonOf(error)}`))

// A signal that comes while the edge starts ends it when it has started: half a start leaves things behind.
const { promise: told, resolve: tell } = Promise.withResolvers<void>()
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => tell())

/** What can't be understood must not open anything: then the edge doesn't start. */
const egressOf = ({
  DEPLOY_MCP_EGRESS: reach = "public",
  DEPLOY_MCP_EGRESS_ALLOW: allow = ""
}: NodeJS.ProcessEnv): EgressPolicy => {
  const { ranges, problem } = parseAllowedRanges(allow)
  if (problem !== null) throw new Error(`DEPLOY_MCP_EGRESS_ALLOW: ${problem}`)
  if (reach !== "public" && reach !== "none") {
    throw new Error("DEPLOY_MCP_EGRESS must be public or none")
  }
  return { reach, allow: ranges }
}

/** As above: a word that is not known must not mean anything weaker. */
const sandboxOf = ({ DEPLOY_MCP_SANDBOX: word = "auto" }: NodeJS.ProcessEnv): SandboxChoice => {
  if (isSandboxChoice(word)) return word
  throw new Error(`DEPLOY_MCP_SANDBOX must be one of ${sandboxChoices.join(", ")}`)
}

const wholeOf = (name: string, usual: number, least: 0 | 1): number => {
  const value = Number(env[name] ?? usual)
  if (Number.isInteger(value) && value >= least) return value
  throw new Error(`${name} must be a whole number${least === 1 ? " above 0" : ""}`)
}

try {
  const pauseAfter = wholeOf("DEPLOY_MCP_RESTART_LIMIT", defaultPauseAfter, 0)
  const edge = await startEdge({
    home,
    log,
    appsPort: Number(env.DEPLOY_MCP_APPS_PORT ?? 8080),
    appsDomain: env.DEPLOY_MCP_APPS_DOMAIN ?? "localhost",
    logRate: wholeOf("DEPLOY_MCP_LOG_RATE", 2_000, 1),
    logBytes: wholeOf("DEPLOY_MCP_LOG_SIZE", 4, 1) * 1024 ** 2,
    makeProcesses: (options) =>
      makeProcesses(
        { ...options, egress: egressOf(env), sandbox: sandboxOf(env) },
        { ...defaultBackoff, pauseAfter }
      )
  })
  void told.then(edge.close)
  await edge.closed
  process.exit(0)
} catch (error) {
  log(`did not start: ${reasonOf(error)}`)
  process.exit(error instanceof HomeIsHeld ? 3 : 1)
}
