/**
 * Installed dependencies, kept by everything that shapes them and used again by hard link or copy.
 * An install that is kept runs in a directory of its own, so that a project's files cannot change
 * what is kept.
 */
import { readdir, rename, stat, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Clock, Effect, Option, Schema } from "effect"
import { attempt, errorCode } from "../BuildFault.ts"
import { makeDirectory, move, remove } from "../Directories.ts"
import { readText } from "../detection/PackageJson.ts"
import type { TreeRequest } from "../detection/TreeRequest.ts"
import { seal } from "../Seal.ts"
import type { Work } from "../Workplaces.ts"

export interface Tree {
  /** Holds what belongs into `folder` of the project; shared, so nobody may write to it. */
  readonly files: string
  readonly folder: string
  readonly bytes: number
}

/** The kept tree, when it is there. */
export const findTree = (
  trees: string,
  { key, folder }: TreeRequest
): Effect.Effect<Tree | null, BuildError> =>
  Effect.gen(function* () {
    const directory = join(trees, key)
    const text = yield* readText(directory, "tree.json", maxManifest)
    const meta = Option.getOrNull(Schema.decodeOption(Meta)(text ?? ""))
    if (meta === null) return null
    // Tells the sweep that it is still wanted; one that cannot be touched is used all the same.
    const now = (yield* Clock.currentTimeMillis) / 1000
    yield* attempt("touch a tree", () => utimes(directory, now, now)).pipe(Effect.ignore)
    return { files: join(directory, folder), folder, bytes: meta.bytes }
  })

const maxManifest = 1024 * 1024

const Meta = Schema.fromJsonString(Schema.Struct({ bytes: Schema.Int }))

/** Keeps what `install` leaves in its folder; whoever is first with a key wins. */
export const makeTree = <R>(
  trees: string,
  request: TreeRequest,
  work: Work,
  limit: number,
  install: (directory: string) => Effect.Effect<void, BuildError, R>
): Effect.Effect<Tree | null, BuildError, R> =>
  Effect.gen(function* () {
    const app = join(work.directory, "install")
    const made = join(work.directory, "tree")
    yield* makeDirectory(app)
    yield* makeDirectory(made)
    yield* attempt("write the manifests", () =>
      Promise.all(
        Object.entries(request.files).map(([name, text]) => writeFile(join(app, name), text))
      )
    )
    yield* install(app)
    const installed = join(app, request.folder)
    yield* makeDirectory(installed)
    yield* move(installed, join(made, request.folder))
    const bytes = yield* seal(join(made, request.folder), { limit })
    yield* attempt("keep the dependencies", async () => {
      await writeFile(join(made, "tree.json"), JSON.stringify({ bytes }))
      await rename(made, join(trees, request.key)).catch((cause: unknown) => {
        if (!["ENOTEMPTY", "EEXIST"].includes(errorCode(cause))) throw cause
      })
    })
    yield* remove(app)
    return yield* findTree(trees, request)
  })

/** Removes trees that no build has used for `maxAge` milliseconds. Artifacts keep their own names. */
export const sweepTrees = (trees: string, maxAge: number): Effect.Effect<void, BuildError> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const name of yield* attempt("read the trees", () => readdir(trees))) {
      const directory = join(trees, name)
      const { mtimeMs } = yield* attempt("read a tree", () => stat(directory))
      if (now - mtimeMs > maxAge) yield* remove(directory)
    }
  })
