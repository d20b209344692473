/** How many bytes repositories have, measured once and then kept up to date. */
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import type { GitError } from "@deploy-mcp/domain/Git"
import { Effect } from "effect"
import { storage } from "./GitHost.ts"

export interface Sizes {
  /** 0 when there is no such repository. What a push has brought and is not accepted does not count. */
  readonly of: (repository: string) => Effect.Effect<number, GitError>
  readonly grow: (repository: string, bytes: number) => Effect.Effect<void>
  /** It is measured again when it is asked for. */
  readonly forget: (repository: string) => Effect.Effect<void>
}

export const make = (): Sizes => {
  const known = new Map<string, number>()
  return {
    of: (repository) =>
      Effect.suspend(() => {
        const bytes = known.get(repository)
        if (bytes !== undefined) return Effect.succeed(bytes)
        const whole = bytesBelow(repository, (folder) => !folder.includes("/tmp_objdir-incoming-"))
        return Effect.tap(whole, (measured) => Effect.sync(() => known.set(repository, measured)))
      }),
    grow: (repository, bytes) =>
      Effect.sync(() => {
        const before = known.get(repository)
        if (before !== undefined) known.set(repository, before + bytes)
      }),
    forget: (repository) => Effect.sync(() => void known.delete(repository))
  }
}

/** Of all files in a folder; what goes away meanwhile does not count. */
export const bytesBelow = (
  folder: string,
  counts: (folder: string) => boolean = () => true
): Effect.Effect<number, GitError> =>
  storage(async () => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
    const sizes = entries
      .filter((entry) => entry.isFile() && counts(entry.parentPath))
      .map((entry) =>
        stat(join(entry.parentPath, entry.name)).then(
          ({ size }) => size,
          () => 0
        )
      )
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  })
