/** What a build leaves: an image in the engine, or a folder of files that are served. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import type { Artifact } from "@deploy-mcp/domain/model/Artifact"
import { Effect } from "effect"
import { commitArtifact } from "../ArtifactStore.ts"
import { attempt } from "../BuildFault.ts"
import { siteOutput } from "../detection/SiteOutput.ts"
import { rootOf } from "../detection/SourceTree.ts"
import { seal } from "../Seal.ts"
import type { DockerApi } from "./DockerApi.ts"
import { buildWith, type Site } from "./DockerBuild.ts"
import * as ImageStore from "./ImageStore.ts"

/** What BuildKit leaves gets its name, or is removed. */
export const containerImage = (site: Site, api: DockerApi) =>
  Effect.gen(function* () {
    const { request, work, outputLimit } = site
    const { kind, listens, start, workers } = request.plan
    const runtime = {
      // A Dockerfile that was made here has it in the image.
      ...(kind === "dockerfile" && start !== undefined ? { start } : {}),
      ...(listens === undefined ? {} : { listens }),
      ...(workers === undefined ? {} : { workers })
    }
    const idFile = join(work.directory, "image")
    const labels = ImageStore.labelsOf(request.key, runtime, work, homeOf(site.nameOf))
    yield* buildWith(site, [`--iidfile=${idFile}`, ...labels.map((label) => `--label=${label}`)])
    const id = yield* attempt("read the image's id", () => readFile(idFile, "utf8"))
    return yield* ImageStore.keepImage(api, request.key, id.trim(), outputLimit)
  }).pipe(Effect.ensuring(Effect.ignore(ImageStore.dropUnnamed(api, site.work))))

/** Tells the images of this home from those of others at the same engine. */
export const homeOf = (nameOf: Site["nameOf"]): string => nameOf("home")

/** Nothing is run for files that are served as they are. */
export const siteFolder = (site: Site, artifacts: string) =>
  Effect.gen(function* () {
    const { request, work, outputLimit: limit } = site
    const { plan, settings } = request
    const output = join(work.directory, "output")
    const runs = plan.install !== undefined || plan.build !== undefined
    if (runs) yield* buildWith(site, ["--output", `type=local,"dest=${output}"`])
    const app = runs ? output : yield* rootOf(request.source, settings.root_directory)
    const { publish, spa } = yield* siteOutput(app, plan.publish)
    const directory = join(app, publish)
    const bytes = yield* seal(directory, { limit, jail: true })
    const runtime: Artifact["runtime"] = { kind: "static", publish: ".", ...(spa ? { spa } : {}) }
    return yield* commitArtifact(artifacts, directory, work, { key: request.key, runtime, bytes })
  })
