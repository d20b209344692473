/** Looking into a tenant's checkout without ever following a link. */
import { lstat, readdir } from "node:fs/promises"
import { join } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { attempt, rejected } from "../BuildFault.ts"

/** The folder that is built: the checkout, or its `root_directory`. */
export const rootOf = (
  source: string,
  rootDirectory: string | undefined
): Effect.Effect<string, BuildError> =>
  rootDirectory === undefined
    ? Effect.succeed(source)
    : isDirectory(source, rootDirectory).pipe(
        Effect.flatMap((found) =>
          found
            ? Effect.succeed(join(source, rootDirectory))
            : Effect.fail(
                rejected(
                  "root_directory_missing",
                  `The repository has no folder '${rootDirectory}' at this commit.`
                )
              )
        )
      )

/** Whether each part of `path` is a real directory. */
export const isDirectory = (base: string, path: string): Effect.Effect<boolean, BuildError> =>
  Effect.gen(function* () {
    let current = base
    for (const part of path.split("/").filter((part) => part !== "" && part !== ".")) {
      if (part === "..") return false
      current = join(current, part)
      if ((yield* kindOf(current)) !== "directory") return false
    }
    return true
  })

/** Whether `name` is a regular file in `directory`; `name` may have folders in it. */
export const isFile = (directory: string, name: string): Effect.Effect<boolean, BuildError> => {
  const slash = name.lastIndexOf("/")
  return isDirectory(directory, name.slice(0, Math.max(slash, 0))).pipe(
    Effect.flatMap((reachable) =>
      reachable && !name.split("/").includes("..")
        ? kindOf(join(directory, name)).pipe(Effect.map((kind) => kind === "file"))
        : Effect.succeed(false)
    )
  )
}

/** The first of `names` that is a file in `directory`. */
export const firstFile = (
  directory: string,
  names: ReadonlyArray<string>
): Effect.Effect<string | null, BuildError> =>
  Effect.gen(function* () {
    for (const name of names) if (yield* isFile(directory, name)) return name
    return null
  })

/** Names in `directory`, folders with a slash. */
export const listing = (directory: string): Effect.Effect<ReadonlyArray<string>, BuildError> =>
  attempt("read the source", () => readdir(directory, { withFileTypes: true })).pipe(
    Effect.map((entries) =>
      entries.map((entry) => entry.name + (entry.isDirectory() ? "/" : "")).sort()
    )
  )

const kindOf = (path: string): Effect.Effect<"file" | "directory" | null, BuildError> =>
  attempt("read the source", () =>
    lstat(path).then(
      (stat) => (stat.isFile() ? "file" : stat.isDirectory() ? "directory" : null),
      () => null
    )
  )
