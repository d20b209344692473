import { Effect, Layer, Logger, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { bridge } from "./Bridge.ts"
import { Client } from "./Client.ts"

export const mcp = Command.make(
  "mcp",
  {
    toolsets: Flag.String("toolsets").pipe(
      Flag.withDescription("Which tools, comma-separated, e.g. deploy,keys; all for every one"),
      Flag.optional
    )
  },
  Effect.fn(function* ({ toolsets }) {
    const client = yield* Client
    const chosen = Option.getOrUndefined(toolsets)
    yield* bridge((body, headers) => client.toAgentsDoor({ body, headers, toolsets: chosen })).pipe(
      Effect.scoped,
      // stdout belongs to the protocol.
      Effect.provide(Layer.succeed(Logger.LogToStderr, true))
    )
  })
).pipe(
  Command.withDescription(
    "Serve the tools of the running platform over stdin and stdout, for agents that start their servers"
  ),
  Command.withExamples([
    {
      command: "claude mcp add --transport stdio deploy-mcp -- npx deploy-mcp mcp",
      description: "Let an agent of this machine use the platform as its owner"
    }
  ])
)
