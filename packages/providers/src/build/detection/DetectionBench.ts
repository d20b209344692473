/** Checkouts for tests, and what is planned for them by a machine that has every language. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { Failure } from "@deploy-mcp/domain/Failure"
import { failureOf } from "@deploy-mcp/domain/Fault"
import type { BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Effect, type Scope } from "effect"
import { detect } from "./Detection.ts"
import type { PlanTools } from "./PlanTools.ts"

export type Files = Readonly<Record<string, string>>

const everything: PlanTools = {
  revision: "a revision",
  npm: { version: "11.0.0" },
  languages: {
    python: Effect.succeed({ version: "python 3.13.5" }),
    go: Effect.succeed({ version: "go 1.26.8" })
  },
  platform: "linux x64 glibc",
  versions: ["a revision", "node 26.10.0", "npm 11.0.0", "linux x64 glibc"]
}

export interface DetectionBench {
  /** A new checkout with these files. */
  readonly source: (files: Files) => string
  readonly plan: (
    files: Files | string,
    settings?: Partial<ServiceSettings>
  ) => Effect.Effect<BuildPlan, BuildError>
}

/** `without`: what the machine lacks. */
export const makeBench = (
  ...without: ReadonlyArray<"npm" | "python" | "go">
): Effect.Effect<DetectionBench, never, Scope.Scope> =>
  Effect.gen(function* () {
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "build-detection-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
    const source = (files: Files) => writeFiles(mkdtempSync(join(home, "source-")), files)
    const tools: PlanTools = {
      ...everything,
      ...(without.includes("npm") ? { npm: null } : {}),
      languages: {
        python: without.includes("python") ? Effect.succeed(null) : everything.languages.python,
        go: without.includes("go") ? Effect.succeed(null) : everything.languages.go
      }
    }
    const plan: DetectionBench["plan"] = (files, settings) =>
      detect(typeof files === "string" ? files : source(files), serviceSettings(settings), tools)
    return { source, plan }
  })

export const writeFiles = (directory: string, files: Files): string => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
  return directory
}

export const serviceSettings = (more: Partial<ServiceSettings> = {}): ServiceSettings => ({
  build_pack: "auto",
  memory: 256,
  cpu: 1,
  ...more
})

/** The catalogue entry that a build or a plan ends with; dies when it succeeds. */
export const failure = <A, R>(
  effect: Effect.Effect<A, BuildError, R>
): Effect.Effect<Failure, never, R> =>
  Effect.flip(effect).pipe(
    Effect.map((error) => failureOf(error.reason)),
    Effect.orDie
  )

export const pkg = (fields: unknown) => JSON.stringify(fields)
