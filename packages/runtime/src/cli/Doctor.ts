import { resolve } from "node:path"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { settings } from "../Config.ts"
import { fences, table } from "./Fences.ts"
import { reconciled } from "./LastReconciled.ts"
import * as Machine from "./Machine.ts"
import { finish, paint } from "./Output.ts"
import { quotas } from "./Quotas.ts"

export const doctor = Command.make(
  "doctor",
  {},
  Effect.fn(function* () {
    const {
      home,
      port,
      appsPort,
      minFreeDisk,
      settingsFile,
      egress,
      egressAllow,
      sandbox: wanted
    } = yield* settings
    const folder = resolve(home)
    const running = yield* Machine.processes(folder)
    const sandbox = yield* fences(folder, running.edge)
    const findings = [
      yield* Machine.node,
      ...(yield* Machine.tools),
      ...(wanted === "gvisor" ? [yield* Machine.gvisor] : []),
      yield* Machine.user,
      Machine.egress(egress, egressAllow),
      yield* Machine.controlGroups,
      sandbox.finding,
      yield* Machine.home(folder),
      yield* Machine.disk(folder, minFreeDisk),
      ...running.findings,
      ...(yield* quotas(port, running.control)),
      yield* reconciled(folder),
      ...(yield* Machine.instances(folder, settingsFile)),
      yield* Machine.port("port", port, running.control, "DEPLOY_MCP_PORT"),
      yield* Machine.port("apps port", appsPort, running.edge, "DEPLOY_MCP_APPS_PORT")
    ]
    yield* finish({ findings, sandbox: sandbox.layers }, [
      ...findings.flatMap(lines),
      ...table(sandbox.layers).map((line) => `  ${line}`)
    ])
    // The findings are the report; the exit code only says whether to read it.
    if (findings.some(({ status }) => status === "fail")) process.exitCode = 1
  })
).pipe(
  Command.withDescription(
    "Check this machine and the platform on it, with what to do about each finding"
  ),
  Command.withShortDescription("Check this machine and the platform on it"),
  Command.withExamples([
    { command: "deploy-mcp doctor", description: "Exit code 1 when something must be mended" },
    { command: "deploy-mcp doctor --json", description: "The same for programs" }
  ])
)

const marks = { ok: ["green", "✓"], warn: ["yellow", "!"], fail: ["red", "✗"] } as const

const lines = ({ what, status, detail, next }: Machine.Finding): ReadonlyArray<string> => {
  const [colour, mark] = marks[status]
  return [
    `${paint(colour, mark)} ${what.padEnd(9)} ${detail}`,
    ...(next === "" ? [] : [paint("dim", `  ${" ".repeat(9)} → ${next}`)])
  ]
}
