/** From a checkout to a finished image, or to a finished folder where the output is a site. */
import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { BuildError, BuildRequest } from "@deploy-mcp/domain/Build"
import { reservedVariable } from "@deploy-mcp/domain/model/Names"
import { type Duration, Effect, Redacted } from "effect"
import { attempt, rejected } from "../BuildFault.ts"
import type { BuildLog } from "../BuildLog.ts"
import { move, remove } from "../Directories.ts"
import { maxManifest } from "../detection/Manifest.ts"
import { readText } from "../detection/PackageJson.ts"
import { rootOf } from "../detection/SourceTree.ts"
import { treeRequest } from "../detection/TreeRequest.ts"
import { seal } from "../Seal.ts"
import type { Work } from "../Workplaces.ts"
import { type Buildx, runBuildx } from "./Buildx.ts"
import { type BaseImages, dockerfile } from "./Dockerfile.ts"
import { type Namer, type StepSources, stepSettings } from "./StepSettings.ts"
import { watchBuild } from "./Watch.ts"

export interface Site {
  readonly request: BuildRequest
  readonly work: Work
  readonly log: BuildLog
  readonly buildx: Buildx
  readonly images: BaseImages
  readonly sources: StepSources
  /** Certificates that steps trust; null: those of the image. */
  readonly caFile: string | null
  readonly stepTimeout: Duration.Duration
  readonly outputLimit: number
  readonly nameOf: Namer
}

/** What BuildKit is given. */
interface Recipe {
  readonly folder: string
  readonly file: string
  readonly options: ReadonlyArray<string>
  readonly secrets: Readonly<Record<string, string>>
  /** The tenant's own; null: it was made here. */
  readonly dockerfile: string | null
}

/** `output`: options that say where the result goes. */
export const buildWith = Effect.fn("BuildDocker.buildWith")(function* (
  site: Site,
  output: ReadonlyArray<string>
): Effect.fn.Return<void, BuildError> {
  const { plan } = site.request
  const recipe = yield* plan.kind === "dockerfile" ? given(site) : made(site)
  const args = [...output, ...recipe.options, `--file=${recipe.file}`, recipe.folder]
  const watch = yield* watchBuild({ ...site, dockerfile: recipe.dockerfile })
  const code = yield* runBuildx(
    site.buildx,
    { work: site.work, args, secrets: recipe.secrets },
    watch.tell
  ).pipe(Effect.raceFirst(watch.tooLong))
  if (code !== 0) return yield* watch.failure
})

/** The tenant's Dockerfile, with the tenant's files around it. */
const given = (site: Site): Effect.Effect<Recipe, BuildError> =>
  Effect.gen(function* () {
    const { request, nameOf } = site
    const folder = yield* checkout(site)
    const file = join(folder, "Dockerfile")
    // A link could lead to a file of this machine, whose lines BuildKit would complain about.
    const text = yield* readText(folder, "Dockerfile", maxManifest)
    if (text === null) return yield* rejected("manifest_invalid", "There is no Dockerfile.")
    const secrets = visible(request)
    // BuildKit would take a step for done although the secret that it mounts has another value.
    const fresh = Object.keys(secrets).length > 0 && /--mount=\S*type=secret/u.test(text)
    const options = [
      `--build-arg=BUILDKIT_CACHE_MOUNT_NS=${nameOf("cache", request.owner)}`,
      ...(fresh ? ["--no-cache"] : [])
    ]
    return { folder, file, options, secrets, dockerfile: text }
  })

/** A Dockerfile for what was detected. */
const made = (site: Site): Effect.Effect<Recipe, BuildError> =>
  Effect.gen(function* () {
    const { request, nameOf, caFile, work, images } = site
    const { plan } = request
    const source = yield* checkout(site)
    const variables = visible(request)
    const identity = [request.owner, ...plan.toolchain]
    const tree =
      plan.install === undefined
        ? null
        : yield* treeRequest(source, plan.install, identity, variables)
    const folder = join(work.directory, "context")
    if (tree !== null) {
      yield* remove(join(source, tree.folder))
      yield* write(join(folder, "install"), tree.files)
    }
    const ca = caFile !== null
    const install = stepSettings(site.sources, ca, tree?.usesVariables === false ? {} : variables)
    const build = stepSettings(site.sources, ca, variables)
    const recipe = {
      cache: nameOf("cache", request.owner),
      install: nameOf("step", request.owner, install),
      build: nameOf("step", request.owner, build)
    }
    const text = dockerfile({ plan, images, apart: tree !== null, ca, ...recipe })
    yield* write(work.directory, { Dockerfile: text })
    return {
      folder,
      file: join(work.directory, "Dockerfile"),
      options: ca ? [`--secret=id=ca,src=${caFile}`] : [],
      secrets: { [recipe.install]: install, [recipe.build]: build },
      dockerfile: null
    }
  })

/** The folder that is built, readable for every user that a container may run as. */
const checkout = ({ request, work, outputLimit }: Site): Effect.Effect<string, BuildError> =>
  Effect.gen(function* () {
    const root = yield* rootOf(request.source, request.settings.root_directory)
    const context = join(work.directory, "context")
    const folder = join(context, "source")
    yield* attempt("make a directory", () => mkdir(context))
    yield* move(root, folder)
    yield* seal(folder, { limit: outputLimit })
    return folder
  })

const write = (folder: string, files: Readonly<Record<string, string>>) =>
  attempt("write the build's files", async () => {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, name), text)
    }
  })

/** Our own names stay ours. */
const visible = ({ variables }: BuildRequest): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(variables)
      .filter(([name]) => !reservedVariable(name))
      .map(([name, value]) => [name, Redacted.value(value)])
  )
