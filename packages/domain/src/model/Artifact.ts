/** What a build makes. Immutable; found again by its key. */
import { Schema } from "effect"
import { ProcessName } from "./Names.ts"

/** SHA-256 over commit, root directory, build plan, build-visible variables and toolchain versions. */
export const ArtifactKey = Schema.String.pipe(
  Schema.check(Schema.isPattern(/^[0-9a-f]{64}$/u)),
  Schema.brand("ArtifactKey")
)
export type ArtifactKey = typeof ArtifactKey.Type

/** Command lines by process name: they run beside the process that answers requests, and have no port. */
export const Workers = Schema.Record(ProcessName, Schema.String)

/** How to turn a checked-out source into an artifact: detected, then overridden by the settings. */
export const BuildPlan = Schema.Struct({
  kind: Schema.Literals(["static", "node", "python", "go", "dockerfile"]),
  /** Shell command lines of the tenant, run inside the sandbox only; absent: the step is left out. */
  install: Schema.optionalKey(Schema.String),
  build: Schema.optionalKey(Schema.String),
  start: Schema.optionalKey(Schema.String),
  /** False: `start` has no port. Absent: it answers requests at PORT. */
  listens: Schema.optionalKey(Schema.Boolean),
  /** Processes beside the one that answers requests, each a command line by its name, as in a Procfile. */
  workers: Schema.optionalKey(Workers),
  /** Folder that is served, for static sites, relative to the root directory. */
  publish: Schema.optionalKey(Schema.String),
  /** Name and version of everything that shapes the output, e.g. `node 26.10.0`. */
  toolchain: Schema.Array(Schema.String),
  /** What was found, in words for the build log, e.g. `package.json with package-lock.json`. */
  detected: Schema.String,
  /** Sentences for the build log about what is in the checkout and left out. */
  notes: Schema.optionalKey(Schema.Array(Schema.String))
})
export type BuildPlan = typeof BuildPlan.Type

/** Files served as they are. */
export const StaticRuntime = Schema.Struct({
  kind: Schema.Literal("static"),
  /** Relative to the artifact's directory; `.` is the whole of it. */
  publish: Schema.String,
  /** One page that draws every address itself: what is no file is answered with its index.html. */
  spa: Schema.optionalKey(Schema.Boolean)
})

/** A command, which listens on PORT. */
export const ProcessRuntime = Schema.Struct({
  kind: Schema.Literal("process"),
  /** A tenant's shell command line, run inside the sandbox only, in the artifact's directory. */
  start: Schema.String,
  /** Programs needed on PATH, each a directory on the host, e.g. the toolchain's `bin`. */
  path: Schema.Array(Schema.String),
  /** False: it has no port. */
  listens: Schema.optionalKey(Schema.Boolean),
  workers: Schema.optionalKey(Workers)
})

/** A container, which listens on PORT. */
export const ImageRuntime = Schema.Struct({
  kind: Schema.Literal("image"),
  /** Where the image is found by its digest, e.g. `sha256:…` in one engine, or `host/name@sha256:…`. */
  image: Schema.String,
  /** A tenant's shell command line, run inside the container; absent: the image's own command. */
  start: Schema.optionalKey(Schema.String),
  /** False: it has no port. */
  listens: Schema.optionalKey(Schema.Boolean),
  workers: Schema.optionalKey(Workers)
})
export const Runtime = Schema.Union([StaticRuntime, ProcessRuntime, ImageRuntime])
export type Runtime = typeof Runtime.Type

/** Nobody can ask it anything: a worker, or what runs on a schedule. */
export const isPortless = (runtime: Runtime): boolean =>
  runtime.kind !== "static" && runtime.listens === false

export const Artifact = Schema.Struct({
  key: ArtifactKey,
  /** Absolute path of an immutable directory; empty when the output is an image. */
  directory: Schema.String,
  runtime: Runtime,
  bytes: Schema.Int
})
export type Artifact = typeof Artifact.Type
