/** argv in, one command launched; a failure is printed as its catalogue entry and ends in exit code 1. */

import { Failure } from "@deploy-mcp/domain/Failure"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer } from "effect"
import { CliConfig, Command, GlobalFlag } from "effect/cli"
import { FetchHttpClient } from "effect/http"
import * as Client from "./Client.ts"
import { commands, version } from "./Commands.ts"
import { failureLines } from "./Output.ts"

const report = (failure: Failure) =>
  process.argv.includes("--json")
    ? Console.log(JSON.stringify({ error: failure }, null, 2))
    : Console.error(failureLines(failure).join("\n"))

const misconfigured = (cause: string) =>
  Failure.of("invalid_argument", cause, { next: "Correct the environment variable that is named." })

const platform = Client.layer.pipe(
  Layer.provideMerge(FetchHttpClient.layer),
  Layer.provideMerge(NodeServices.layer),
  Layer.provideMerge(
    CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
  )
)

// A reader that has seen enough, e.g. head, is no error.
process.stdout.on("error", () => process.exit(0))

commands.pipe(
  Command.run({ version }),
  Effect.provide(platform),
  Effect.tapError((error) =>
    error._tag === "CommandError"
      ? report(error.failure)
      : error._tag === "ConfigError"
        ? report(misconfigured(error.message))
        : Effect.void
  ),
  (program) => NodeRuntime.runMain(program, { disableErrorReporting: true })
)
