import { LogLineView } from "@deploy-mcp/domain/commands/Views"
import { Console, Effect, Option, Schema, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Calls from "./Calls.ts"
import { Client } from "./Client.ts"
import { finish, paint, plain } from "./Output.ts"
import { root } from "./Root.ts"

export const logs = Command.make(
  "logs",
  {
    service: Argument.String("service").pipe(Argument.withDescription("Name of the service")),
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Go on with each new line until Ctrl-C"),
      Flag.withDefault(false)
    ),
    tail: Flag.Int("tail").pipe(
      Flag.withAlias("n"),
      Flag.withDescription("How many of the newest lines; default 100, at most 1000"),
      Flag.withDefault(100)
    ),
    grep: Flag.String("grep").pipe(
      Flag.withDescription("Only lines with this text, in any case"),
      Flag.optional
    ),
    since: Flag.String("since").pipe(
      Flag.withDescription("Only lines from then on: ISO 8601, or how long ago, e.g. 15m"),
      Flag.optional
    ),
    build: Flag.Boolean("build").pipe(
      Flag.withDescription("The newest build instead of the running program"),
      Flag.withDefault(false)
    ),
    project: Flag.String("project").pipe(
      Flag.withDescription("Project of the service"),
      Flag.optional
    )
  },
  Effect.fn(function* ({ service, follow, tail, grep, since, build, project }) {
    const client = yield* Client
    const wanted = {
      name: service,
      project: Option.getOrUndefined(project),
      contains: Option.getOrUndefined(grep),
      since: Option.getOrUndefined(since)
    }
    if (follow && !build) return yield* followLines(client.follow({ ...wanted, tail }))
    const page = yield* client.call(Calls.getLogs, {
      ...wanted,
      source: build ? "build" : "runtime",
      tail_lines: tail
    })
    yield* finish(page, page.lines.map(lineText))
  })
).pipe(
  Command.withDescription("Read what a service's program or its build printed"),
  Command.withExamples([
    { command: "deploy-mcp logs my-saas -f", description: "Watch the running program" },
    {
      command: "deploy-mcp logs my-saas --grep timeout --since 15m",
      description: "What mentions a timeout in the last quarter of an hour"
    },
    { command: "deploy-mcp logs my-saas --build", description: "Read the newest build" }
  ])
)

/** One line of text, or with --json one document, for each line. */
const followLines = <E>(lines: Stream.Stream<LogLineView, E>) =>
  Effect.flatMap(root, ({ json }) =>
    Stream.runForEach(lines, (line) =>
      json
        ? Effect.flatMap(Effect.orDie(encodeLine(line)), Console.log)
        : Console.log(lineText(line))
    )
  )

const encodeLine = Schema.encodeEffect(Schema.fromJsonString(LogLineView))

const lineText = ({ at, stream, text }: LogLineView): string => {
  const time = paint("dim", at.slice(11, 23))
  if (stream === "platform") return `${time} ${paint("cyan", plain(text))}`
  return `${time} ${stream === "stderr" ? paint("yellow", plain(text)) : plain(text)}`
}
