/** The command line as people read it: docs/cli.md, from what `--help` shows. */
import * as Client from "@deploy-mcp/runtime/cli/Client"
import { commands, version } from "@deploy-mcp/runtime/cli/Commands"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Option } from "effect"
import { CliOutput, Command, type HelpDoc } from "effect/cli"
import { FetchHttpClient } from "effect/http"

export const renderCli = Effect.gen(function* () {
  const docs = yield* helpBelow([])
  return [
    "# The command line",
    "",
    "`npx deploy-mcp` in the checkout. It speaks to the running platform with the key in",
    "`$DEPLOY_MCP_HOME/owner-key`, or with the one in `DEPLOY_MCP_KEY`. What fails says its code and the",
    "[next step](failures.md), and ends with exit code 1. All commands take `--json`.",
    "",
    "Generated from the commands themselves: `npm run docs`.",
    ...docs.flatMap(section),
    ""
  ].join("\n")
})

type Doc = HelpDoc.HelpDoc

/** The help of the command at this path and of those below it, in the order of the help. */
export const helpBelow = (
  path: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Doc>, unknown> =>
  Effect.gen(function* () {
    const doc = yield* helpOf(path)
    const below = (doc.subcommands ?? []).flatMap((group) => group.commands)
    const docs = yield* Effect.forEach(below, ({ name }) => helpBelow([...path, name]))
    return [doc, ...docs.flat()]
  })

const helpOf = (path: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const shown: Array<Doc> = []
    const presenter = CliOutput.layerPresenter({
      present: (event) =>
        Effect.sync(() => {
          if (event._tag === "Help") shown.push(event.helpDoc)
        })
    })
    yield* Command.runWith(commands, { version })([...path, "--help"]).pipe(
      Effect.provide(Layer.merge(presenter, platform))
    )
    return yield* Effect.fromNullishOr(shown[0])
  })

const platform = Client.layer.pipe(
  Layer.provideMerge(FetchHttpClient.layer),
  Layer.provideMerge(NodeServices.layer)
)

const section = ({ commandPath = [], description, usage, args = [], ...doc }: Doc) => {
  const rows = [...args.map(argumentRow), ...doc.flags.map(flagRow)]
  const examples = doc.examples ?? []
  const width = Math.max(...examples.map(({ command }) => command.length))
  return [
    "",
    `${commandPath.length > 2 ? "###" : "##"} ${commandPath.join(" ")}`,
    "",
    description.replace(/\.?$/u, "."),
    "",
    `    ${usage}`,
    ...(rows.length === 0 ? [] : ["", "| argument | meaning |", "|---|---|", ...rows]),
    ...(examples.length === 0 ? [] : ["", "```sh"]),
    ...examples.map(({ command, description: why = "" }) => `${command.padEnd(width)}  # ${why}`),
    ...(examples.length === 0 ? [] : ["```"])
  ]
}

const argumentRow = ({ name, description }: HelpDoc.ArgDoc) =>
  `| \`<${name}>\` | ${textOf(description)} |`

const flagRow = ({ name, aliases, type, description, required }: HelpDoc.FlagDoc) => {
  const value = type === "boolean" ? "" : ` <${type}>`
  const names = [...aliases, `--${name}${value}`].map((each) => `\`${each}\``).join(", ")
  return `| ${names} | ${textOf(description)}${required ? "; needed" : ""} |`
}

const textOf = (description: Option.Option<string>) => Option.getOrElse(description, () => "")
