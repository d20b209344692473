import { refuse } from "@deploy-mcp/domain/Failure"
import { Effect } from "effect"
import { Command } from "effect/cli"

/** The launcher starts the platform itself; only `up --help` and a direct call come here. */
export const up = Command.make(
  "up",
  {},
  Effect.fn(function* () {
    const control = process.env.DEPLOY_MCP_CONTROL
    if (control === undefined || process.execve === undefined) {
      return yield* refuse("unavailable", "This is the command line alone.", {
        next: "Start the platform with bin/deploy-mcp.mjs up, or npm start."
      })
    }
    process.execve(process.execPath, [process.execPath, ...process.execArgv, control], process.env)
  })
).pipe(
  Command.withDescription(
    "Start the platform in the foreground; Ctrl-C stops it. State: DEPLOY_MCP_HOME (.deploy-mcp), ports: DEPLOY_MCP_PORT (8081) and DEPLOY_MCP_APPS_PORT (8080)"
  ),
  Command.withShortDescription("Start the platform in the foreground"),
  Command.withExamples([
    { command: "deploy-mcp up", description: "State in ./.deploy-mcp, MCP on port 8081" },
    {
      command: "DEPLOY_MCP_HOME=/var/lib/deploy-mcp deploy-mcp up",
      description: "State elsewhere"
    }
  ])
)
