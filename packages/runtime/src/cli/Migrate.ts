import { refuse } from "@deploy-mcp/domain/Failure"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { root } from "./Root.ts"

/** The control program knows the tables, so it becomes that, as `up` does. */
export const migrate = Command.make(
  "migrate",
  {},
  Effect.fn(function* () {
    const { json } = yield* root
    const control = process.env.DEPLOY_MCP_CONTROL
    if (control === undefined || process.execve === undefined) {
      return yield* refuse("unavailable", "This is the command line alone.", {
        next: "Use bin/deploy-mcp.mjs migrate."
      })
    }
    const args = [...process.execArgv, control, "migrate", ...(json ? ["--json"] : [])]
    process.execve(process.execPath, [process.execPath, ...args], process.env)
  })
).pipe(
  Command.withDescription(
    "Bring the tables of the database up to date and say what was done. Every start does the same by itself; ahead of an upgrade it can be done with another database user. The database: DEPLOY_MCP_DATABASE_URL, or the file in DEPLOY_MCP_HOME, whose platform must be stopped"
  ),
  Command.withShortDescription("Bring the database up to date"),
  Command.withExamples([
    {
      command: "DEPLOY_MCP_DATABASE_URL=postgres://… deploy-mcp migrate",
      description: "As the owner of the tables, ahead of an upgrade"
    }
  ])
)
