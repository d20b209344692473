/** A `process` provider in a home of its own, for tests. Everything it makes is gone with its scope. */

import { deepStrictEqual } from "node:assert"
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { Build, type BuildError, type BuildRequest } from "@deploy-mcp/domain/Build"
import { type Artifact, ArtifactKey, type BuildPlan } from "@deploy-mcp/domain/model/Artifact"
import { OwnerId } from "@deploy-mcp/domain/model/Ids"
import type { ServiceSettings } from "@deploy-mcp/domain/model/Service"
import * as Provider from "@deploy-mcp/domain/Provider"
import { ConfigProvider, Context, Effect, Layer, Redacted, type Scope } from "effect"
import { type Files, pkg, serviceSettings, writeFiles } from "../detection/DetectionBench.ts"
import { BuildProcess, type BuildProcessSettings } from "./BuildProcess.ts"
import { findLanguages, isOpen } from "./Languages.ts"
import { executable } from "./SandboxProbe.ts"

const path = process.env.PATH ?? ""
export const hasBubblewrap = executable("bwrap", path) !== null
export const isRoot = process.getuid?.() === 0

/**
 * Whether builds of this kind can be made here: the language is there and, where root has no sandbox,
 * services may enter its folder.
 */
export const isUsable = (kind: string): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    if (kind !== "python" && kind !== "go") return true
    const language = yield* (yield* findLanguages(path))[kind]
    return language !== null && (!isRoot || hasBubblewrap || (yield* isOpen(language)))
  })

export const owner = OwnerId.make(`own_${"a".repeat(20)}`)
export const keyOf = (n: number) => ArtifactKey.make(n.toString(16).padStart(64, "0"))

interface RunOptions extends Partial<ServiceSettings> {
  readonly key?: number
  readonly owner?: OwnerId
  readonly variables?: Files
}

export interface Bench {
  readonly home: string
  readonly host: Provider.Host["Service"]
  readonly build: Build["Service"]
  /** Everything that builds have logged, as `stream text`. */
  readonly log: Array<string>
  /** A new checkout with these files. */
  readonly source: (files: Files) => string
  readonly request: (source: string, plan: BuildPlan, options?: RunOptions) => BuildRequest
  /** Plans and builds, as the runtime does. */
  readonly run: (files: Files, options?: RunOptions) => Effect.Effect<Artifact, BuildError>
  readonly plan: (files: Files, options?: RunOptions) => Effect.Effect<BuildPlan, BuildError>
  /** Another provider on the same directories, as after a restart. */
  readonly again: Effect.Effect<Build["Service"], never, Scope.Scope>
}

/** `plain`: a machine without bubblewrap. `open`: other users may look into the home. */
export const makeBench = (
  overrides: Partial<BuildProcessSettings> = {},
  { plain = false, open = false } = {}
): Effect.Effect<Bench, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "build-process-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
    if (open) chmodSync(home, 0o711)
    const host = {
      directory: join(home, "build"),
      artifacts: join(home, "artifacts"),
      node: { bin: dirname(process.execPath), version: process.versions.node }
    }
    const provider = ConfigProvider.fromUnknown({ path: plain ? onlyNpm(home) : path })
    const defaults = yield* BuildProcess.config.pipe(
      Effect.provideService(ConfigProvider.ConfigProvider, provider)
    )
    const again = Layer.build(
      BuildProcess.make({ ...defaults, ...overrides }).pipe(
        Layer.provide(Layer.succeed(Provider.Host, host))
      )
    ).pipe(Effect.map((context) => Context.get(context, Build)))
    const build = yield* again
    // The fence is tried in the background at first, which would show in the work directory.
    yield* build.isolation
    const log: Array<string> = []
    const source = (files: Files) => writeFiles(mkdtempSync(join(home, "source-")), files)
    const request: Bench["request"] = (directory, plan, options = {}) => ({
      key: keyOf(options.key ?? 1),
      owner: options.owner ?? owner,
      source: directory,
      settings: settingsOf(options),
      plan,
      variables: Object.fromEntries(
        Object.entries(options.variables ?? {}).map(([name, value]) => [name, Redacted.make(value)])
      ),
      log: (stream, text) => Effect.sync(() => void log.push(`${stream} ${text}`))
    })
    const plan: Bench["plan"] = (files, options = {}) =>
      build.plan(source(files), settingsOf(options))
    const run: Bench["run"] = (files, options = {}) => {
      const directory = source(files)
      return build
        .plan(directory, settingsOf(options))
        .pipe(Effect.flatMap((made) => build.artifact(request(directory, made, options))))
    }
    return { home, host, build, log, source, request, run, plan, again }
  })

const settingsOf = ({ key: _, owner: __, variables: ___, ...settings }: RunOptions) =>
  serviceSettings(settings)

const onlyNpm = (home: string): string => {
  const bin = join(home, "bin")
  const npm = executable("npm", path)
  mkdirSync(bin)
  if (npm !== null) symlinkSync(realpathSync(npm), join(bin, "npm"))
  return bin
}

/** A server with one small dependency, and a lockfile. */
export const project = (index: string) => ({
  "package.json": pkg({ dependencies: { "is-number": "7.0.0" } }),
  "package-lock.json": lock,
  "index.js": index
})
const lock = pkg({
  lockfileVersion: 3,
  requires: true,
  packages: {
    "": { dependencies: { "is-number": "7.0.0" } },
    "node_modules/is-number": {
      version: "7.0.0",
      integrity:
        "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng=="
    }
  }
})

/** Nothing of any build is left but caches, kept trees and artifacts. */
export const assertTidy = (bench: Bench) => {
  deepStrictEqual(readdirSync(join(bench.host.directory, "work")), [])
  const hidden = readdirSync(bench.host.artifacts).filter((name) => name.startsWith("."))
  deepStrictEqual(hidden, [])
}
