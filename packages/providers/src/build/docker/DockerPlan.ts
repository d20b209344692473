/** What is built how: a Dockerfile where there is one or is asked for, else what is detected. */
import type { BuildError } from "@deploy-mcp/domain/Build"
import type { BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Effect } from "effect"
import { rejected } from "../BuildFault.ts"
import { detect } from "../detection/Detection.ts"
import type { PlanTools } from "../detection/PlanTools.ts"
import { readProcfile, withWorkers } from "../detection/Procfile.ts"
import { ofType, programsOf } from "../detection/Programs.ts"
import { isFile, rootOf } from "../detection/SourceTree.ts"
import type { BaseImages } from "./Dockerfile.ts"

/** Raise it when the same input would now give another artifact. */
const revision = "deploy-mcp docker build 1"

const platform = `${process.platform} ${process.arch}`

/** Languages come with their images, so none is ever missing. */
export const planTools = (images: BaseImages): PlanTools => ({
  revision,
  npm: { version: "of the image" },
  languages: {
    python: Effect.succeed({ version: `python ${images.python}` }),
    go: Effect.succeed({ version: `go ${images.go} on ${images.goRun}` })
  },
  platform,
  versions: [revision, `node ${images.node}`, platform]
})

export const planDocker = Effect.fn("BuildDocker.plan")(function* (
  source: string,
  settings: ServiceSettings,
  tools: PlanTools
): Effect.fn.Return<BuildPlan, BuildError> {
  const root = yield* rootOf(source, settings.root_directory)
  const asked = settings.build_pack === "dockerfile"
  const found = (asked || settings.build_pack === "auto") && (yield* isFile(root, "Dockerfile"))
  if (found) return yield* fromDockerfile(root, settings)
  if (!asked) return yield* detect(source, settings, tools)
  return yield* rejected(
    "unknown_kind",
    "build_pack is 'dockerfile', but there is no Dockerfile.",
    {
      next: "Commit a Dockerfile in the root directory and push again, or leave build_pack out."
    }
  )
})

/** A Procfile beside it says what to start in its image; without one the image itself does. */
const fromDockerfile = (
  root: string,
  settings: ServiceSettings
): Effect.Effect<BuildPlan, BuildError> =>
  Effect.gen(function* () {
    const procfile = yield* readProcfile(root)
    const { install_command, build_command } = settings
    const { listens, notes: notesOf, start, workers } = yield* programsOf(settings, procfile)
    yield* ofType(settings, false, listens)
    const ignored = Object.entries({ install_command, build_command })
      .filter(([, line]) => line !== undefined)
      .map(([name]) => `${name} is left out: the Dockerfile says what is run.`)
    const notes = [...ignored, ...notesOf(false)]
    return {
      kind: "dockerfile" as const,
      ...(start === undefined ? {} : { start }),
      ...(listens ? {} : { listens }),
      ...withWorkers(workers),
      toolchain: [revision, platform],
      detected: "Dockerfile",
      ...(notes.length === 0 ? {} : { notes })
    }
  })
