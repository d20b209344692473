/** The control process: settings in, composition launched, no logic. */
import { existsSync, mkdirSync } from "node:fs"
import { join, resolve } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Effect, Exit, Layer, Logger, References, Schedule } from "effect"
import { defaultTeardown, type Teardown } from "effect/Runtime"
import type { SqlErrorReason } from "effect/sql/SqlError"
import { banner } from "./Banner.ts"
import { problemOf, settings } from "./Config.ts"
import { FirstOwner } from "./commands/FirstOwner.ts"
import { embedded } from "./compositions/embedded.ts"
import { migrate } from "./Migrate.ts"

const version = "0.1.0"
const second = 1000
const minute = 60 * second
const day = 86_400 * second
const mebibyte = 1024 ** 2

const main = Effect.gen(function* () {
  const started = performance.now()
  const {
    home: folder,
    databaseUrl,
    settingsFile: settingsGiven,
    edge,
    startTimeout,
    trashRetention,
    keptHistory,
    pruneEvery,
    minFreeDisk,
    artifactQuota,
    repositoryQuota,
    takeover,
    reconcileEvery,
    egress,
    egressAllow,
    sandbox,
    logRate,
    logSize,
    restartLimit,
    ...facts
  } = yield* settings
  const home = resolve(folder)
  const settingsFile = settingsGiven === null ? null : resolve(settingsGiven)
  mkdirSync(home, { recursive: true, mode: 0o700 })
  if (process.argv[2] === "migrate") {
    return yield* migrate({ home, databaseUrl, json: process.argv.includes("--json") })
  }
  process.chdir(home)
  process.umask(0o077) // what others may read (artifacts) is opened by whoever makes it
  const platform = {
    ...facts,
    home,
    startTimeout: startTimeout * second,
    trashRetention: trashRetention * day,
    keptHistory: keptHistory * day,
    minFreeDisk: minFreeDisk * mebibyte,
    artifactQuota: artifactQuota * mebibyte,
    repositoryQuota: repositoryQuota * mebibyte
  }
  const program = edge ?? new URL("../../edge/src/main.ts", import.meta.url).pathname
  yield* Effect.gen(function* () {
    const owner = yield* FirstOwner
    yield* banner(platform, owner, version, started)
    return yield* untilHomeIsGone(home)
  }).pipe(
    Effect.provide(
      embedded({
        platform,
        databaseUrl,
        settingsFile,
        takeover: takeover * second,
        reconcileEvery: reconcileEvery * minute,
        pruneEvery: pruneEvery * minute,
        edge: {
          program,
          settings: { egress, egressAllow, sandbox, logRate, logSize, restartLimit }
        },
        version
      })
    )
  )
})

/** A platform without its state serves nobody; the edge ends by itself for the same reason. */
const untilHomeIsGone = (home: string) =>
  Effect.sync(() => existsSync(join(home, "run", "lock.db"))).pipe(
    Effect.repeat({ schedule: Schedule.spaced("2 seconds"), while: (there) => there }),
    Effect.andThen(Effect.sync(() => stopWith(`${home} is gone; stopping.`)))
  )

/** Nothing may hold a stopped platform: a frozen finalizer is cut off. */
const hardExit = Effect.sync(() => {
  // A terminal that is closed says SIGHUP: the platform stops as for the other two.
  process.once("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => setTimeout(() => process.exit(1), 20_000).unref())
  }
})

const logging = Layer.merge(
  Logger.layer([Logger.consoleLogFmt]),
  Layer.succeed(References.MinimumLogLevel, "Warn")
)

const stopWith = (message: string) => {
  console.error(`deploy-mcp: ${message}`)
  process.exitCode = 1
}

/** A signal is how a platform is stopped, so it is no failure; what was told with an exit code is one. */
const teardown: Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
    ? onExit(0)
    : defaultTeardown(exit, (code) => onExit(code === 0 ? Number(process.exitCode ?? 0) : code))

hardExit.pipe(
  Effect.andThen(main),
  Effect.catchTag(["HomeHeld", "DatabaseHeld", "SettingsRefused"], (refusal) =>
    Effect.sync(() => stopWith(refusal.message))
  ),
  Effect.catchTag("SqlError", (error) => Effect.sync(() => stopWith(cannotOpen(error.reason)))),
  Effect.catchTag("ServeError", (error) => Effect.sync(() => stopWith(cannotListen(error.cause)))),
  Effect.catchTag("ConfigError", (error) => Effect.sync(() => stopWith(problemOf(error)))),
  Effect.provide(logging),
  NodeRuntime.runMain({ teardown })
)

const cannotOpen = ({ message, cause }: SqlErrorReason) =>
  `cannot use the database (${cause instanceof Error ? cause.message : message}). Look at DEPLOY_MCP_DATABASE_URL, and whether Postgres answers there.`

const cannotListen = (cause: unknown) =>
  `cannot listen (${cause instanceof Error ? cause.message : "unknown cause"}). Stop what uses the port, or set DEPLOY_MCP_PORT to another one.`
