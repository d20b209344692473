/** All of the command line. */
import { Command } from "effect/cli"
import { demo } from "./Demo.ts"
import { deploy } from "./Deploy.ts"
import { doctor } from "./Doctor.ts"
import { keys } from "./Keys.ts"
import { logs } from "./Logs.ts"
import { mcp } from "./Mcp.ts"
import { migrate } from "./Migrate.ts"
import { replay } from "./Replay.ts"
import { root } from "./Root.ts"
import { services } from "./Services.ts"
import { top } from "./Top.ts"
import { up } from "./Up.ts"

export const version = "0.1.0"

export const commands = root.pipe(
  Command.withSubcommands([
    up,
    demo,
    deploy,
    services,
    logs,
    replay,
    top,
    keys,
    mcp,
    migrate,
    doctor
  ])
)
