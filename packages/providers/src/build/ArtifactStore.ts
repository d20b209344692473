/**
 * Artifacts on disk: files under `<key>/`, and `<key>.json`, which is written last. A directory gets
 * there by one rename, so it is whole even where the manifest is missing.
 */
import { readdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Artifact, ArtifactKey } from "@deploy-mcp/domain/model/Artifact"
import type { Kept } from "@deploy-mcp/domain/model/Kept"
import { Effect, Option, Schema } from "effect"
import { attempt, errorCode } from "./BuildFault.ts"
import { move, remove } from "./Directories.ts"
import type { Work } from "./Workplaces.ts"

const { key, runtime, bytes } = Artifact.fields
const Manifest = Schema.fromJsonString(Schema.Struct({ key, runtime, bytes }))
type Manifest = typeof Manifest.Type

export const findArtifact = (
  artifacts: string,
  key: ArtifactKey
): Effect.Effect<Artifact | null, BuildError> =>
  Effect.gen(function* () {
    const text = yield* attempt("read an artifact", () =>
      readFile(manifestOf(artifacts, key), "utf8").catch(absent)
    )
    if (text === null) return null
    const manifest = Option.getOrNull(Schema.decodeOption(Manifest)(text))
    if (manifest?.key !== key) return null
    const directory = join(artifacts, key)
    const found = yield* attempt("read an artifact", () => stat(directory).catch(absent))
    return found?.isDirectory() === true ? { ...manifest, directory } : null
  })

/** Puts a finished directory in its place. One that is there already is as good and stays. */
export const commitArtifact = (
  artifacts: string,
  finished: string,
  work: Work,
  manifest: Manifest
): Effect.Effect<Artifact, BuildError> =>
  Effect.gen(function* () {
    const directory = join(artifacts, manifest.key)
    // Across file systems a move is a copy, which must not happen under the final name.
    const near = join(artifacts, `.${basename(work.directory)}`)
    yield* move(finished, near)
    yield* attempt("store the artifact", () =>
      rename(near, directory).catch((cause: unknown) => {
        if (!["ENOTEMPTY", "EEXIST"].includes(errorCode(cause))) throw cause
      })
    ).pipe(Effect.ensuring(remove(near).pipe(Effect.ignore)))
    const json = yield* Schema.encodeEffect(Manifest)(manifest).pipe(Effect.orDie)
    yield* attempt("store the artifact", async () => {
      const temporary = `${near}.json`
      await writeFile(temporary, json)
      await rename(temporary, manifestOf(artifacts, manifest.key))
    })
    return { ...manifest, directory }
  }).pipe(Effect.uninterruptible)

/** The manifest goes first, so that a half-removed artifact is never found. */
export const removeArtifact = (
  artifacts: string,
  key: ArtifactKey,
  work: Work
): Effect.Effect<void, BuildError> =>
  Effect.gen(function* () {
    const gone = join(artifacts, `.${basename(work.directory)}`)
    yield* attempt("remove the artifact", async () => {
      await unlink(manifestOf(artifacts, key)).catch(absent)
      await rename(join(artifacts, key), gone).catch(absent)
    })
    yield* remove(gone)
  }).pipe(Effect.uninterruptible)

/** Those without a manifest too: a crash may have come between the two. */
export const keptArtifacts = (
  artifacts: string
): Effect.Effect<ReadonlyArray<Kept<ArtifactKey>>, BuildError> =>
  attempt("list the artifacts", async () => {
    const kept = new Map<ArtifactKey, number>()
    for (const name of await readdir(artifacts)) {
      const key = Schema.decodeOption(ArtifactKey)(name.replace(/\.json$/u, ""))
      const found = await stat(join(artifacts, name)).catch(absent)
      if (Option.isNone(key) || found === null) continue
      kept.set(key.value, Math.max(found.mtimeMs, kept.get(key.value) ?? 0))
    }
    return [...kept].map(([id, at]) => ({ id, at }))
  })

const manifestOf = (artifacts: string, key: ArtifactKey) => join(artifacts, `${key}.json`)

const absent = (cause: unknown): null => {
  if (errorCode(cause) === "ENOENT") return null
  throw cause
}
