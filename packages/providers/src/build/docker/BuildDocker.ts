/**
 * Builds with BuildKit, in the Docker Engine of this machine: an image of the tenant's Dockerfile, or
 * of one that is made for the detected language. Sites become folders, because the ingress serves files.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Build, type BuildRequest } from "@deploy-mcp/domain/Build"
import * as Provider from "@deploy-mcp/domain/Provider"
import { Config, Duration, Effect, Layer, Option } from "effect"
import { findArtifact, keptArtifacts, removeArtifact } from "../ArtifactStore.ts"
import { rejected } from "../BuildFault.ts"
import * as BuildLog from "../BuildLog.ts"
import { makeDirectory } from "../Directories.ts"
import * as KeyedLock from "../KeyedLock.ts"
import { makeWork, sweepWork } from "../Workplaces.ts"
import { findBuildx } from "./Buildx.ts"
import * as DockerApi from "./DockerApi.ts"
import type { Site } from "./DockerBuild.ts"
import { containerImage, homeOf, siteFolder } from "./DockerOutput.ts"
import { planDocker, planTools } from "./DockerPlan.ts"
import * as ImageStore from "./ImageStore.ts"
import { makeNamer } from "./StepSettings.ts"

const image = (name: string, usual: string) => Config.String(name).pipe(Config.withDefault(usual))

const config = Config.all({
  /** The engine's socket. */
  socket: Config.String("socket").pipe(Config.withDefault("/var/run/docker.sock")),
  /** The program `docker-buildx`; looked for where Docker's packages put it otherwise. */
  buildx: Config.option(Config.String("buildx")),
  /** Folder with a `config.json` that has logins to registries; none otherwise. */
  credentials: Config.option(Config.String("credentials")),
  /** What Node projects are built and run on, and sites built. */
  nodeImage: image("node_image", "node:26-slim"),
  /** What Python projects are built and run on. */
  pythonImage: image("python_image", "python:3.14-slim"),
  /** What Go programs are built on. */
  goImage: image("go_image", "golang:1.26"),
  /** What Go programs are run on: a shell and certificates. */
  goRunImage: image("go_run_image", "alpine:3.22"),
  /** Longest time for one step of a build. */
  stepTimeout: Config.Duration("step_timeout").pipe(Config.withDefault(Duration.minutes(10))),
  /** Bytes of the largest artifact; an image counts with what it is built on. */
  outputLimit: Config.Int("output_limit").pipe(Config.withDefault(4 * 1024 ** 3)),
  /** Characters of output that one build may log. */
  logLimit: Config.Int("log_limit").pipe(Config.withDefault(4 * 1024 ** 2)),
  /** Registry for projects whose .npmrc names none; npm's own default otherwise. */
  npmRegistry: Config.option(Config.URL("npm_registry")),
  /** Package index for Python; PyPI otherwise. */
  pythonIndex: Config.option(Config.URL("python_index")),
  /** Module proxy for Go, as its GOPROXY; Go's own default otherwise. */
  goProxy: Config.option(Config.String("go_proxy")),
  /** Certificates that steps trust; those of the image otherwise. */
  caFile: Config.option(Config.String("ca_file")),
  /** Where `docker-buildx` is looked for at last. */
  path: Config.String("path").pipe(Config.withDefault("/usr/local/bin:/usr/bin:/bin"))
})
export type BuildDockerSettings = Config.Success<typeof config>

const layer = (settings: BuildDockerSettings): Layer.Layer<Build, never, Provider.Host> =>
  Layer.effect(
    Build,
    Effect.gen(function* () {
      const host = yield* Provider.Host
      const workplaces = join(host.directory, "work")
      const ownConfig = join(host.directory, "docker")
      yield* Effect.forEach([workplaces, ownConfig, host.artifacts], makeDirectory)
      yield* Effect.forEach([workplaces, host.artifacts], sweepWork)
      const nameOf = yield* makeNamer(host.directory)
      const api = DockerApi.make(settings.socket)
      // An engine that is away now may be there for the first build.
      yield* ImageStore.sweepUnnamed(api).pipe(Effect.ignore)
      const builds = yield* KeyedLock.make
      const images = imagesOf(settings)
      const tools = planTools(images)

      const find: Build["Service"]["find"] = (key) =>
        Effect.gen(function* () {
          return (
            (yield* findArtifact(host.artifacts, key)) ?? (yield* ImageStore.findImage(api, key))
          )
        })

      const artifact = Effect.fn("BuildDocker.artifact")(function* (request: BuildRequest) {
        const found = yield* find(request.key)
        if (found !== null) return found
        const work = yield* makeWork(workplaces)
        const log = yield* BuildLog.make(request, settings.logLimit)
        const site: Site = {
          request,
          work,
          log,
          images,
          nameOf,
          buildx: {
            program: yield* buildxOf(settings),
            socket: settings.socket,
            configFolder: Option.getOrElse(settings.credentials, () => ownConfig)
          },
          sources: {
            npmRegistry: textOf(settings.npmRegistry),
            pythonIndex: textOf(settings.pythonIndex),
            goProxy: Option.getOrNull(settings.goProxy)
          },
          caFile: Option.getOrNull(settings.caFile),
          stepTimeout: settings.stepTimeout,
          outputLimit: settings.outputLimit
        }
        log.say(`Detected ${request.plan.detected}`)
        for (const note of request.plan.notes ?? []) log.say(note)
        return yield* (
          request.plan.kind === "static"
            ? siteFolder(site, host.artifacts)
            : containerImage(site, api)
        ).pipe(Effect.ensuring(log.close))
      }, Effect.scoped)

      return Build.of({
        plan: (source, serviceSettings) => planDocker(source, serviceSettings, tools),
        find,
        artifact: (request) => builds.holding(request.key)(artifact(request)),
        remove: (key) =>
          builds.holding(key)(
            makeWork(workplaces).pipe(
              Effect.flatMap((work) => removeArtifact(host.artifacts, key, work)),
              Effect.andThen(ImageStore.removeImage(api, key)),
              Effect.scoped
            )
          ),
        kept: Effect.zipWith(
          keptArtifacts(host.artifacts),
          ImageStore.keptImages(api, homeOf(nameOf)),
          (folders, kept) => [...folders, ...kept]
        ),
        isolation: api.version.pipe(
          Effect.map((version) => `Docker ${version}, each step in a container of its own`),
          Effect.catch(() =>
            Effect.succeed(`unknown: Docker does not answer at ${settings.socket}`)
          )
        )
      })
    }).pipe(Effect.orDie)
  )

const buildxOf = (settings: BuildDockerSettings) => {
  const program = Option.getOrElse(settings.buildx, () => findBuildx(settings.path))
  return program === null || !existsSync(program)
    ? rejected("toolchain_missing", "Docker's program for builds, buildx, is not installed.", {
        next: "Ask the operator to install docker-buildx (Debian, Ubuntu) or docker-buildx-plugin (Docker's own packages), or to name it in the setting buildx."
      })
    : Effect.succeed(program)
}

const imagesOf = (settings: BuildDockerSettings) => ({
  node: settings.nodeImage,
  python: settings.pythonImage,
  go: settings.goImage,
  goRun: settings.goRunImage
})

const textOf = (address: Option.Option<URL>) =>
  Option.match(address, { onNone: () => null, onSome: String })

export const BuildDocker = Provider.make({
  id: "docker",
  service: Build,
  summary:
    "Builds images with BuildKit in the Docker Engine of this machine, also from a Dockerfile.",
  config,
  make: layer
})
