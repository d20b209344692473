/** A platform that a command starts for itself when none is running. */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync } from "node:fs"
import { createServer } from "node:net"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Effect, FileSystem, Schedule } from "effect"
import * as Client from "./Client.ts"

export interface Launch {
  readonly home: string
  readonly port: number
  readonly appsPort: number
  /** Goes on running after the command. */
  readonly keep: boolean
}

/** Starts control, which starts the edge, and waits until it is ready; both end with the scope. */
export const launch = Effect.fn("launch")(function* ({ home, port, appsPort, keep }: Launch) {
  const log = join(home, "control.log")
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => start({ home, port, appsPort, keep }, log)),
    (running) => (keep ? Effect.void : stop(running))
  )
  const client = yield* Client.make({ home, port })
  yield* client.isReady.pipe(
    Effect.flatMap((ready) =>
      ready
        ? Effect.void
        : child.exitCode === null && child.signalCode === null
          ? Effect.fail("starting" as const)
          : Effect.fail("ended" as const)
    ),
    Effect.retry({
      schedule: Schedule.spaced("25 millis"),
      while: (state) => state === "starting"
    }),
    Effect.timeout("30 seconds"),
    Effect.catch(() => Effect.flatMap(lastLines(log), notStarted))
  )
  return { client, pid: child.pid ?? 0 }
})

const start = (options: Launch, log: string): ChildProcess => {
  mkdirSync(options.home, { recursive: true, mode: 0o711 })
  const output = openSync(log, "a", 0o600)
  const bundles = dirname(fileURLToPath(import.meta.url))
  const control = process.env.DEPLOY_MCP_CONTROL ?? join(bundles, "control.mjs")
  const child = spawn(process.execPath, [...process.execArgv, control], {
    // A Ctrl-C is ours to handle: we stop it in order.
    detached: true,
    stdio: ["ignore", output, output],
    env: {
      ...process.env,
      DEPLOY_MCP_HOME: options.home,
      DEPLOY_MCP_PORT: String(options.port),
      DEPLOY_MCP_APPS_PORT: String(options.appsPort),
      DEPLOY_MCP_EDGE: process.env.DEPLOY_MCP_EDGE ?? join(bundles, "edge.mjs")
    }
  })
  closeSync(output)
  child.unref()
  return child
}

const stop = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.ref()
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGTERM")
  }).pipe(
    Effect.timeoutOrElse({
      duration: "20 seconds",
      orElse: () => Effect.sync(() => void child.kill("SIGKILL"))
    })
  )

const lastLines = (log: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(log)).pipe(
    Effect.map((text) => text.trimEnd().split("\n").slice(-8)),
    Effect.orElseSucceed((): ReadonlyArray<string> => [])
  )

const notStarted = (evidence: ReadonlyArray<string>) =>
  Effect.fail(
    refuse("unavailable", "The platform did not start.", {
      evidence,
      next: "Read the lines above; deploy-mcp doctor checks the machine."
    })
  )

/** `wanted` when nothing listens there, else any free port. */
export const freePort = (wanted: number): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    const server = createServer()
    server.once("error", () => resume(wanted === 0 ? Effect.succeed(0) : freePort(0)))
    server.listen(wanted, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : wanted
      server.close(() => resume(Effect.succeed(port)))
    })
  })
