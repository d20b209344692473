/** A `docker` provider on the tests' own engine, with an image that has Node.js, npm and busybox. */
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { Build, type BuildError, type BuildRequest } from "@deploy-mcp/domain/Build"
import { type Artifact, ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import { OwnerId } from "@deploy-mcp/domain/model/Ids"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import { Host } from "@deploy-mcp/domain/Provider"
import { ConfigProvider, Context, Effect, Layer, Redacted, Schema, type Scope } from "effect"
import * as Engine from "../../testing/DockerEngine.ts"
import { type Files, serviceSettings, writeFiles } from "../detection/DetectionBench.ts"
import { BuildDocker, type BuildDockerSettings } from "./BuildDocker.ts"
import { findBuildx } from "./Buildx.ts"

const path = process.env.PATH ?? ""

/** It needs what the engine needs, and Docker's buildx. */
export const isInstalled = Engine.isInstalled && findBuildx(path) !== null

export class DockerWorld extends Context.Service<
  DockerWorld,
  {
    readonly engine: Engine.DockerEngine["Service"]
    /** Where everything but the engine's own is. */
    readonly home: string
    /** Node.js, npm, `/bin/sh` and busybox's tools. */
    readonly image: string
  }
>()("@deploy-mcp/providers/build/docker/DockerWorld") {}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "build-docker-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** One engine, and a host for providers. */
export const world = Layer.effect(
  Host,
  Effect.map(DockerWorld, ({ home }) => ({
    directory: join(home, "build"),
    artifacts: join(home, "artifacts"),
    node: { bin: dirname(process.execPath), version: process.versions.node }
  }))
).pipe(
  Layer.provideMerge(
    Layer.effect(
      DockerWorld,
      Effect.gen(function* () {
        const engine = yield* Engine.DockerEngine
        const home = yield* folder
        const image = "deploy-mcp-test/node:26"
        yield* withNpm(engine, home, image)
        return { engine, home, image }
      })
    )
  ),
  Layer.provide(Engine.layer)
)

/** Built by the engine itself, from the npm of this machine. */
const withNpm = ({ call, image }: Engine.DockerEngine["Service"], home: string, name: string) =>
  Effect.gen(function* () {
    const npm = path.split(delimiter).find((at) => readable(join(at, "npm"))) ?? ""
    const directory = dirname(dirname(realpathSync(join(npm, "npm"))))
    const context = writeFiles(mkdtempSync(join(home, "image-")), {
      Dockerfile: [
        `FROM ${image}`,
        "COPY npm /usr/local/lib/npm",
        "RUN ln -s ../lib/npm/bin/npm-cli.js /usr/local/bin/npm",
        ""
      ].join("\n")
    })
    const from = ["-C", context, "Dockerfile", "-C", dirname(directory), "npm"]
    const tar = spawn("tar", ["-cf", "-", ...from], { stdio: ["ignore", "pipe", "inherit"] })
    const built = yield* call("POST", `/build?t=${name}&networkmode=none`, tar.stdout)
    if (!built.text.includes("Successfully tagged")) return yield* Effect.die(built.text)
  })

const readable = (file: string): boolean => {
  try {
    return realpathSync(file).endsWith("/npm/bin/npm-cli.js")
  } catch {
    return false
  }
}

const settingsOf = (overrides: Partial<BuildDockerSettings>) =>
  Effect.gen(function* () {
    const { engine, image } = yield* DockerWorld
    const defaults = yield* BuildDocker.config.pipe(
      Effect.provideService(
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromUnknown({ path, socket: engine.socket })
      )
    )
    return { ...defaults, nodeImage: image, goRunImage: engine.image, ...overrides }
  })

export const provider = (overrides: Partial<BuildDockerSettings> = {}) =>
  Layer.unwrap(Effect.map(settingsOf(overrides), BuildDocker.make))

export const source = (files: Files) =>
  Effect.map(DockerWorld, ({ home }) => writeFiles(mkdtempSync(join(home, "source-")), files))

/** Names of all that builds leave, artifacts aside: folders, and images without a name. */
export const leftovers = Effect.gen(function* () {
  const { directory, artifacts } = yield* Host
  const { engine } = yield* DockerWorld
  const filters = encodeURIComponent('{"dangling":["true"]}')
  const { text } = yield* engine.call("GET", `/images/json?filters=${filters}`)
  return [
    ...readdirSync(join(directory, "work")),
    ...readdirSync(artifacts).filter((name) => name.startsWith(".")),
    ...[...text.matchAll(/"Id":"([^"]+)"/gu)].map(([, id = ""]) => id)
  ]
})

/** Fails the test when it is no image. */
export const imageOf = ({ runtime }: Artifact): string => {
  if (runtime.kind !== "image") throw new Error(`no image, but ${runtime.kind}`)
  return runtime.image
}

/** What a command prints in a container of the image. */
export const printed = (image: string, ...command: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { call } = (yield* DockerWorld).engine
    // With a terminal the log is the text alone.
    const body = { Image: image, Tty: true, ...(command.length === 0 ? {} : { Cmd: command }) }
    const created = yield* call("POST", "/containers/create", body)
    if (created.status !== 201) return yield* Effect.fail(created.text)
    const id = /"Id":"(\w+)"/u.exec(created.text)?.[1]
    yield* call("POST", `/containers/${id}/start`)
    yield* call("POST", `/containers/${id}/wait`)
    const { text } = yield* call("GET", `/containers/${id}/logs?stdout=true&stderr=true`)
    yield* call("DELETE", `/containers/${id}?force=true`)
    return text
  })

/** Files below `/app` of an image, as its own Node.js sees them. */
export const filesOf = (image: string) =>
  printed(image, "node", "-e", listing).pipe(
    Effect.flatMap(
      Schema.decodeEffect(Schema.fromJsonString(Schema.Record(Schema.String, Schema.String)))
    )
  )

const listing = `const { readdirSync, readFileSync } = require("node:fs")
const files = readdirSync("/app", { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
  .map((entry) => entry.parentPath + "/" + entry.name)
console.log(JSON.stringify(Object.fromEntries(files.map((name) => [name.slice(5), readFileSync(name, "utf8")]))))`

export interface RunOptions extends Partial<ServiceSettings> {
  /** Absent: one that no other build has. */
  readonly key?: ArtifactKey
  readonly variables?: Files
}

export interface DockerBench {
  readonly build: Build["Service"]
  /** Everything that builds have logged, as `stream text`. */
  readonly log: Array<string>
  /** Plans and builds, as the runtime does. */
  readonly run: (
    files: Files,
    options?: RunOptions
  ) => Effect.Effect<Artifact, BuildError, DockerWorld>
}

export const newKey = () => ArtifactKey.make(randomBytes(32).toString("hex"))
const owner = OwnerId.make(`own_${"a".repeat(20)}`)

/** `log` is called for each line, beside the bench's own list. */
export const makeBench = (
  overrides: Partial<BuildDockerSettings> = {},
  onLog: (text: string) => void = () => {}
): Effect.Effect<DockerBench, unknown, DockerWorld | Host | Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Layer.fresh(provider(overrides)))
    const build = Context.get(context, Build)
    const log: Array<string> = []
    const run: DockerBench["run"] = (files, { key = newKey(), variables = {}, ...settings } = {}) =>
      Effect.gen(function* () {
        const directory = yield* source(files)
        const chosen = serviceSettings(settings)
        const request: BuildRequest = {
          key,
          owner,
          source: directory,
          settings: chosen,
          plan: yield* build.plan(directory, chosen),
          variables: Object.fromEntries(
            Object.entries(variables).map(([name, value]) => [name, Redacted.make(value)])
          ),
          log: (stream, text) =>
            Effect.sync(() => {
              log.push(`${stream} ${text}`)
              onLog(text)
            })
        }
        return yield* build.artifact(request)
      })
    return { build, log, run }
  })
