/** Repositories, or what was fetched of them, as folders `<id>.git` in one folder. */
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import type { GitError, KeptRepository } from "@deploy-mcp/domain/Git"
import { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { Effect, Option, Schema } from "effect"
import { unavailable } from "./GitFault.ts"

/** `isCopy`: another host has the commits. */
export const kept = (
  folder: string,
  isCopy: boolean
): Effect.Effect<ReadonlyArray<KeptRepository>, GitError> =>
  Effect.tryPromise({
    try: async () => {
      const all: Array<KeptRepository> = []
      for (const name of await readdir(folder)) {
        const id = name.endsWith(".git") ? idOf(name.slice(0, -".git".length)) : Option.none()
        const path = join(folder, name)
        // It may be removed while we look.
        const found = await stat(path).catch(() => null)
        if (Option.isNone(id) || found === null) continue
        const onlyHere = !isCopy && (await hasObjects(path))
        all.push({ id: id.value, at: found.mtimeMs, onlyHere })
      }
      return all
    },
    catch: () => unavailable("The folder of repositories cannot be read.")
  })

const idOf = Schema.decodeOption(RepositoryId)

/** An empty repository has the folders `info` and `pack` there, both empty. */
const hasObjects = async (repository: string) => {
  const objects = await readdir(join(repository, "objects"), { recursive: true }).catch(() => [])
  return objects.some((name) => name !== "info" && name !== "pack")
}
