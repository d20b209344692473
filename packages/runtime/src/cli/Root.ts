/** The command all others hang on, with the flag that they share. */
import { Command, Flag } from "effect/cli"

export const root = Command.make("deploy-mcp").pipe(
  Command.withDescription(
    "A platform that people and agents deploy to by themselves: git push, and a live URL comes back."
  ),
  Command.withSharedFlags({
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print one JSON document for programs; progress goes to stderr"),
      Flag.withDefault(false)
    )
  }),
  Command.withExamples([
    { command: "deploy-mcp up", description: "Start the platform and stay in the foreground" },
    { command: "deploy-mcp demo", description: "See the whole story in a few seconds" },
    { command: "deploy-mcp deploy .", description: "Deploy this folder and print its URL" }
  ])
)
