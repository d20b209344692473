/** Builds nothing, for tests: the artifact is the source, of as many bytes. A file `build-fails` makes it fail. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { Build, BuildError } from "@deploy-mcp/domain/Build"
import { Failure } from "@deploy-mcp/domain/Failure"
import { Rejected } from "@deploy-mcp/domain/Fault"
import { Artifact, ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import { Context, Effect, Layer, Option, Schema, Semaphore } from "effect"

/** What tests look at. */
export class BuildWorld extends Context.Service<
  BuildWorld,
  { readonly builds: Map<ArtifactKey, number> }
>()("@deploy-mcp/providers/BuildWorld") {}

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Artifact))

/** Of a folder's name; null for its manifest. */
const keyOf = (name: string) => Option.getOrNull(Schema.decodeOption(ArtifactKey)(name))

const bytesIn = (directory: string) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)

/** Artifacts are kept in `directory`, so that they outlive the process as real ones do. */
export const layer = (directory: string): Layer.Layer<Build | BuildWorld> =>
  Layer.effectContext(
    Effect.sync(() => {
      const builds = new Map<ArtifactKey, number>()
      const manifest = (key: ArtifactKey) => join(directory, `${key}.json`)
      const find = (key: ArtifactKey) =>
        Effect.sync(() =>
          existsSync(manifest(key)) ? decode(readFileSync(manifest(key), "utf8")) : null
        )
      const turn = Semaphore.makeUnsafe(1)
      const build = Build.of({
        plan: (source, { schedule, type }) =>
          Effect.sync(() => ({
            kind: "node" as const,
            start: "run",
            ...(type === "worker" || schedule !== undefined ? { listens: false } : {}),
            toolchain: ["memory 1"],
            detected: existsSync(join(source, "build-fails")) ? "a source that fails" : "a source"
          })),
        find,
        artifact: (request) =>
          Effect.gen(function* () {
            const found = yield* find(request.key)
            if (found !== null) return found
            if (existsSync(join(request.source, "build-fails"))) {
              const failure = Failure.of("build_failed", "The source asks for a failure.")
              return yield* new BuildError({ reason: new Rejected({ failure }) })
            }
            yield* request.log("stdout", "building in memory")
            yield* Effect.yieldNow
            const target = join(directory, request.key)
            cpSync(request.source, target, { recursive: true })
            builds.set(request.key, (builds.get(request.key) ?? 0) + 1)
            const artifact: Artifact = {
              key: request.key,
              directory: target,
              runtime: {
                kind: "process",
                start: "run",
                path: [],
                ...(request.plan.listens === undefined ? {} : { listens: request.plan.listens })
              },
              bytes: bytesIn(target)
            }
            mkdirSync(directory, { recursive: true })
            writeFileSync(manifest(request.key), JSON.stringify(artifact))
            return artifact
          }).pipe(turn.withPermit),
        remove: (key) =>
          Effect.sync(() => {
            rmSync(manifest(key), { force: true })
            rmSync(join(directory, key), { recursive: true, force: true })
          }),
        kept: Effect.sync(() => {
          const names = existsSync(directory) ? readdirSync(directory) : []
          return names.flatMap((name) => {
            const key = keyOf(name)
            return key === null ? [] : [{ id: key, at: statSync(join(directory, name)).mtimeMs }]
          })
        }),
        isolation: Effect.succeed("nothing is run")
      })
      return Context.make(Build, build).pipe(Context.add(BuildWorld, BuildWorld.of({ builds })))
    })
  )
