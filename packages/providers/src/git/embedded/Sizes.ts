/** How many bytes repositories have, measured once and then kept up to date. */
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import type { GitError } from "@deploy-mcp/domain/Git"
import { Effect } from "effect"
import { isAbsent, storage } from "./GitHost.ts"

export interface Sizes {
  /** 0 when there is no such repository. */
  readonly of: (repository: string) => Effect.Effect<number, GitError>
  readonly grow: (repository: string, bytes: number) => Effect.Effect<void>
  /** It is measured again when it is asked for. */
  readonly forget: (repository: string) => Effect.Effect<void>
}

export const make = (): Sizes => {
  const known = new Map<string, number>()
  /** Counts what was forgotten, so that nothing measured before is kept. */
  let forgotten = 0
  return {
    of: (repository) =>
      Effect.suspend(() => {
        const bytes = known.get(repository)
        if (bytes !== undefined) return Effect.succeed(bytes)
        const before = forgotten
        return Effect.tap(bytesBelow(repository, isKept), (measured) =>
          Effect.sync(() => {
            if (forgotten === before) known.set(repository, measured)
          })
        )
      }),
    grow: (repository, bytes) =>
      Effect.sync(() => {
        const before = known.get(repository)
        if (before !== undefined) known.set(repository, before + bytes)
      }),
    forget: (repository) =>
      Effect.sync(() => {
        forgotten += 1
        known.delete(repository)
      })
  }
}

/** Not what a push has brought and nobody has accepted, nor what a repack has begun. */
const isKept = (path: string) =>
  !/\/objects\/(?:tmp_objdir-incoming-|pack\/(?:tmp_|\.tmp-))/u.test(path)

/** Of all files in a folder; what goes away meanwhile does not count, and hides nothing else. */
export const bytesBelow = (
  folder: string,
  counts: (path: string) => boolean = () => true
): Effect.Effect<number, GitError> => storage(() => sumBelow(folder, counts))

const sumBelow = async (folder: string, counts: (path: string) => boolean): Promise<number> => {
  const entries = await readdir(folder, { withFileTypes: true }).catch(unless(isAbsent, []))
  const sizes = entries.map((entry) => {
    const path = join(folder, entry.name)
    if (!counts(path)) return 0
    if (entry.isDirectory()) return sumBelow(path, counts)
    return stat(path).then(({ size }) => size, unless(isAbsent, 0))
  })
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

const unless =
  <A>(isFine: (cause: unknown) => boolean, instead: A) =>
  (cause: unknown): A => {
    if (isFine(cause)) return instead
    throw cause
  }
