/** argv in, one command launched; a failure is printed as its catalogue entry and ends in exit code 1. */

import { Failure } from "@deploy-mcp/domain/Failure"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer } from "effect"
import { CliConfig, Command, GlobalFlag } from "effect/cli"
import { FetchHttpClient } from "effect/http"
import * as Client from "./Client.ts"
import { demo } from "./Demo.ts"
import { deploy } from "./Deploy.ts"
import { doctor } from "./Doctor.ts"
import { keys } from "./Keys.ts"
import { logs } from "./Logs.ts"
import { mcp } from "./Mcp.ts"
import { migrate } from "./Migrate.ts"
import { failureLines } from "./Output.ts"
import { root } from "./Root.ts"
import { services } from "./Services.ts"
import { up } from "./Up.ts"

const version = "0.1.0"

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

root.pipe(
  Command.withSubcommands([up, demo, deploy, services, logs, keys, mcp, migrate, doctor]),
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
