/** The control process: settings in, composition launched, no logic. */
import { mkdirSync } from "node:fs"
import { resolve } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer, Logger, References } from "effect"
import { banner } from "./Banner.ts"
import { settings } from "./Config.ts"
import { firstOwner } from "./commands/FirstOwner.ts"
import { embedded } from "./compositions/embedded.ts"

const version = "0.1.0"

const main = Effect.gen(function* () {
  const started = performance.now()
  const { home: folder, edge, startTimeout, ...facts } = yield* settings
  const home = resolve(folder)
  mkdirSync(home, { recursive: true, mode: 0o711 })
  process.chdir(home)
  process.umask(0o022)
  const platform = { ...facts, home, startTimeout: startTimeout * 1000 }
  const program = edge ?? new URL("../../edge/src/main.ts", import.meta.url).pathname
  yield* Effect.gen(function* () {
    const owner = yield* firstOwner
    yield* banner(platform, owner, version, started)
    return yield* Effect.never
  }).pipe(Effect.provide(embedded({ platform, edge: program, version })))
})

/** Nothing may hold a stopped platform: a frozen finalizer is cut off. */
const hardExit = Effect.sync(() => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => setTimeout(() => process.exit(1), 20_000).unref())
  }
})

const logging = Layer.merge(
  Logger.layer([Logger.consoleLogFmt]),
  Layer.succeed(References.MinimumLogLevel, "Warn")
)

const told = (held: { readonly message: string }) =>
  Effect.sync(() => {
    console.error(`deploy-mcp: ${held.message}`)
    process.exitCode = 1
  })

hardExit.pipe(
  Effect.andThen(main),
  Effect.catchTag("HomeHeld", told),
  Effect.provide(logging),
  NodeRuntime.runMain
)
