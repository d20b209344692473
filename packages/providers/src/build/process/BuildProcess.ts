/**
 * Builds on this machine: detects what is in the checkout, installs and builds it as a sandboxed
 * child process, and leaves an immutable directory. A second build with the same dependencies links
 * the tree of the first and starts no process at all but `cp`.
 */
import { join } from "node:path"
import { Build, type BuildRequest } from "@deploy-mcp/domain/Build"
import * as Provider from "@deploy-mcp/domain/Provider"
import { Config, Duration, Effect, Layer, Option, Schedule, Schema } from "effect"
import { commitArtifact, findArtifact, keptArtifacts, removeArtifact } from "../ArtifactStore.ts"
import * as BuildLog from "../BuildLog.ts"
import { makeDirectory } from "../Directories.ts"
import { detect } from "../detection/Detection.ts"
import * as KeyedLock from "../KeyedLock.ts"
import { makeWork, sweepWork } from "../Workplaces.ts"
import { assemble } from "./Assembly.ts"
import * as Caches from "./Caches.ts"
import { sweepTrees } from "./DependencyTrees.ts"
import { problemOfHosts, registriesOf } from "./network/Registries.ts"
import { probeFence, systemCa, writeEtc } from "./SandboxProbe.ts"
import { findToolchain } from "./Toolchain.ts"

const Networks = Schema.Literals(["public", "registries", "none"])

const Hosts = Schema.String.check(
  Schema.makeFilter((text) => problemOfHosts(hostsIn(text)) ?? undefined)
)
const hostsIn = (text: string) => text.split(/[\s,]+/u).filter((host) => host !== "")

const noPassword = "must hold no password: builds read it"
const OpenUrl = Schema.URL.check(
  Schema.makeFilter(({ username, password }) =>
    username + password === "" ? undefined : noPassword
  )
)
/** Addresses between other words. */
const OpenText = Schema.String.check(
  Schema.makeFilter((text) => (/\/\/[^/,|]*@/u.test(text) ? noPassword : undefined))
)

const config = Config.all({
  /**
   * What a sandboxed step may call, by HTTP: the `public` internet, package `registries` alone, or `none`.
   */
  network: Config.schema(Networks, "network").pipe(Config.withDefault("public" as const)),
  /**
   * Hosts that it may call besides, wherever they are, as in `npm.example.com, 10.0.0.5:4873`; the port
   * is 443 otherwise. The usual registries and the ones that are set here are among them.
   */
  allowHosts: Config.schema(Hosts, "allow_hosts").pipe(Config.withDefault(""), Config.map(hostsIn)),
  /** Longest time for an install or a build. */
  stepTimeout: Config.Duration("step_timeout").pipe(Config.withDefault(Duration.minutes(10))),
  /** MiB of memory that a step may take; half of the machine's if it is not set. */
  memoryLimit: Config.option(Config.Int("memory_limit")),
  /** Processors that a step may take, as root, such as 0.5; all of them otherwise. */
  cpuLimit: Config.option(Config.Number("cpu_limit")),
  /** Bytes of the largest artifact. */
  outputLimit: Config.Int("output_limit").pipe(Config.withDefault(1024 ** 3)),
  /** Bytes that a build may write while it runs, its additions to the owner's cache included. */
  scratchLimit: Config.Int("scratch_limit").pipe(Config.withDefault(4 * 1024 ** 3)),
  /** Bytes of one owner's package cache; a larger one is removed as a whole when it is not in use. */
  cacheLimit: Config.Int("cache_limit").pipe(Config.withDefault(4 * 1024 ** 3)),
  /** Characters of output that one build may log. */
  logLimit: Config.Int("log_limit").pipe(Config.withDefault(4 * 1024 ** 2)),
  /** Registry for projects whose .npmrc names none; npm's own default otherwise. */
  npmRegistry: Config.option(Config.schema(OpenUrl, "npm_registry")),
  /** Package index for Python; PyPI otherwise. */
  pythonIndex: Config.option(Config.schema(OpenUrl, "python_index")),
  /** Module proxy for Go, as its GOPROXY; Go's own default otherwise. */
  goProxy: Config.option(Config.schema(OpenText, "go_proxy")),
  /** Certificates that builds trust; the system's bundle otherwise. */
  caFile: Config.option(Config.String("ca_file")),
  /** Days that unused dependency trees and package caches are kept. */
  treeDays: Config.Int("tree_days").pipe(Config.withDefault(30)),
  /** Where `bwrap`, `npm` and the system's programs are looked for. */
  path: Config.String("path").pipe(Config.withDefault("/usr/local/bin:/usr/bin:/bin"))
})
export type BuildProcessSettings = Config.Success<typeof config>

const layer = (settings: BuildProcessSettings): Layer.Layer<Build, never, Provider.Host> =>
  Layer.effect(
    Build,
    Effect.gen(function* () {
      const host = yield* Provider.Host
      const places = yield* preparePlaces(host)
      const toolchain = yield* findToolchain(host.node, settings.path)
      const caFile = Option.getOrElse(settings.caFile, systemCa)
      const npmRegistry = Option.match(settings.npmRegistry, { onNone: () => null, onSome: String })
      const parts = {
        toolchain,
        etc: places.etc,
        hasWay: settings.network !== "none",
        caFile,
        searchPath: settings.path,
        pythonIndex: Option.match(settings.pythonIndex, { onNone: () => null, onSome: String }),
        goProxy: Option.getOrNull(settings.goProxy)
      }
      yield* writeEtc(places.etc, {
        npm: toolchain.npm?.directory ?? null,
        npmRegistry
      })
      const { network, memoryLimit, cpuLimit, allowHosts } = settings
      const { pythonIndex, goProxy } = parts
      const named = registriesOf(
        [npmRegistry, pythonIndex, ...(goProxy ?? "").split(/[,|]/u)],
        allowHosts
      )
      const fence = {
        limits: { memory: Option.getOrNull(memoryLimit), cpu: Option.getOrNull(cpuLimit) },
        reach: { network, named }
      }
      const probe = yield* Effect.cached(probeFence(parts, fence, places.work))
      // The first build should not wait for it.
      yield* Effect.forkScoped(Effect.ignore(probe))
      const builds = yield* KeyedLock.make
      const trees = yield* KeyedLock.make
      const maxAge = Duration.toMillis(Duration.days(settings.treeDays))
      const caches = Caches.make(places.caches, places.work, {
        bytes: settings.cacheLimit,
        age: maxAge
      })
      yield* Effect.all([caches.sweep, sweepTrees(places.trees, maxAge)]).pipe(
        Effect.catch(({ reason }) => Effect.logWarning("What builds keep was not swept", reason)),
        Effect.repeat(Schedule.spaced("10 minutes")),
        Effect.forkScoped
      )

      const artifact = Effect.fn("BuildProcess.artifact")(function* (request: BuildRequest) {
        const found = yield* findArtifact(host.artifacts, request.key)
        if (found !== null) return found
        const work = yield* makeWork(places.work)
        const log = yield* BuildLog.make(request, settings.logLimit)
        const finished = yield* assemble({
          request,
          work,
          log,
          settings,
          toolchain,
          places,
          cache: yield* caches.of(request.owner),
          fence: probe,
          locks: trees
        }).pipe(Effect.ensuring(log.close))
        return yield* commitArtifact(host.artifacts, finished.directory, work, {
          key: request.key,
          runtime: finished.runtime,
          bytes: finished.bytes
        })
      }, Effect.scoped)

      return Build.of({
        plan: (source, serviceSettings) => detect(source, serviceSettings, toolchain),
        find: (key) => findArtifact(host.artifacts, key),
        artifact: (request) => builds.holding(request.key)(artifact(request)),
        remove: (key) =>
          builds.holding(key)(
            makeWork(places.work).pipe(
              Effect.flatMap((work) => removeArtifact(host.artifacts, key, work)),
              Effect.scoped
            )
          ),
        kept: keptArtifacts(host.artifacts),
        isolation: probe.pipe(
          Effect.map((fence) => fence.description),
          Effect.catch(() => Effect.succeed("unknown: the build directory cannot be written"))
        )
      })
    }).pipe(Effect.orDie)
  )

export interface Places {
  readonly work: string
  readonly trees: string
  readonly caches: string
  readonly etc: string
}

const preparePlaces = Effect.fn("BuildProcess.preparePlaces")(function* (
  host: Provider.Host["Service"]
) {
  const inside = (name: string) => join(host.directory, name)
  const places: Places = {
    work: inside("work"),
    trees: inside("trees"),
    caches: inside("caches"),
    etc: inside("etc")
  }
  yield* Effect.forEach([...Object.values(places), host.artifacts], makeDirectory)
  yield* sweepWork(places.work)
  yield* sweepWork(host.artifacts)
  return places
})

export const BuildProcess = Provider.make({
  id: "process",
  service: Build,
  summary:
    "Builds static sites, Node, Python and Go projects as sandboxed processes on this machine.",
  config,
  make: layer
})
