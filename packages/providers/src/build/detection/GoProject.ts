/** How a Go program is built: one static binary, `out`, beside the files that it may read. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { rejected } from "../BuildFault.ts"
import { maxManifest } from "./Manifest.ts"
import { readText } from "./PackageJson.ts"
import type { PlanTools } from "./PlanTools.ts"
import { type Commands, withWorkers } from "./Procfile.ts"
import { isDirectory, isFile, listing } from "./SourceTree.ts"

/** Either makes a Go project. */
export const goFiles = ["go.mod", "main.go"]

export const detectGo = Effect.fn("Build.detectGo")(function* (
  root: string,
  settings: ServiceSettings,
  tools: PlanTools,
  workers: Commands
): Effect.fn.Return<BuildPlan, BuildError> {
  const go = yield* tools.languages.go
  if (go === null) {
    return yield* rejected("toolchain_missing", "Go is not installed on this machine.")
  }
  const mod = yield* readText(root, "go.mod", maxManifest)
  const vendored = yield* isFile(root, "vendor/modules.txt")
  const fetches = mod !== null && /^\s*require\b/mu.test(mod) && !vendored
  if (fetches && !(yield* isFile(root, "go.sum"))) {
    return yield* rejected("lockfile_missing", "go.mod has requirements, but there is no go.sum.", {
      next: "Run go mod tidy, commit go.sum and push again."
    })
  }
  const install = settings.install_command ?? (fetches ? "go mod download" : undefined)
  const build = settings.build_command ?? (yield* buildOf(root, mod !== null))
  return {
    kind: "go",
    ...(install === undefined ? {} : { install }),
    build,
    start: settings.start_command ?? "exec ./out",
    ...withWorkers(workers),
    toolchain: [tools.revision, go.version, tools.platform],
    detected: mod === null ? "main.go" : "go.mod"
  }
})

const buildOf = (root: string, isModule: boolean): Effect.Effect<string, BuildError> =>
  Effect.gen(function* () {
    if (!isModule) return "go build -o out main.go"
    const programs = yield* commands(root)
    const names = yield* listing(root)
    if (names.some((name) => name.endsWith(".go") && !name.endsWith("_test.go"))) {
      return "go build -o out ."
    }
    const [only] = programs
    if (only !== undefined && programs.length === 1) return `go build -o out ./cmd/${only}`
    return yield* rejected(
      "no_start_command",
      programs.length === 0
        ? "There is no .go file beside go.mod and no program in cmd."
        : "There are several programs in cmd, and none beside go.mod.",
      {
        evidence: programs.map((name) => `cmd/${name}`),
        next: "Set build_command to go build -o out ./cmd/<the one to run>.",
        ...(only === undefined ? {} : { patch: { build_command: `go build -o out ./cmd/${only}` } })
      }
    )
  })

/** Names in `cmd` that hold a program and mean nothing to a shell. */
const commands = (root: string): Effect.Effect<ReadonlyArray<string>, BuildError> =>
  Effect.gen(function* () {
    if (!(yield* isDirectory(root, "cmd"))) return []
    const found: Array<string> = []
    for (const entry of yield* listing(`${root}/cmd`)) {
      const name = entry.replace(/\/$/u, "")
      if (!entry.endsWith("/") || !/^[\w.-]+$/u.test(name)) continue
      if (yield* isFile(root, `cmd/${name}/main.go`)) found.push(name)
    }
    return found
  })
