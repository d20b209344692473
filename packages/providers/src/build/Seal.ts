/**
 * Makes a finished directory safe to hand out, whatever the umask and the tenant's build did: owned
 * by the platform, readable by every user, writable by its owner alone, only files, directories and
 * links. Nothing of the tenant may still be running.
 */
import {
  chmodSync,
  type Dirent,
  lchownSync,
  lstatSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  unlinkSync
} from "node:fs"
import { dirname, join, resolve } from "node:path"
import type { BuildError } from "@deploy-mcp/domain/Build"
import { Effect } from "effect"
import { attemptSync, rejected } from "./BuildFault.ts"

export interface SealOptions {
  /** Bytes; more than that is a failure. */
  readonly limit: number
  /** An entry of the top that has been through this already. */
  readonly skip?: string
  /** Remove links that lead out of the directory. */
  readonly jail?: boolean
}

/**
 * Answers with its size in bytes. Synchronous calls in small portions: each takes two microseconds,
 * where an asynchronous one takes fifty.
 */
export const seal = Effect.fn("Build.seal")(function* (
  directory: string,
  { limit, skip, jail = false }: SealOptions
): Effect.fn.Return<number, BuildError> {
  let bytes = 0
  const base = yield* attemptSync(doing, () => realpathSync(directory))
  const pending = [directory]
  const sealPortion = (folder: string, entries: ReadonlyArray<Dirent>) => {
    for (const entry of entries) {
      if (folder === directory && entry.name === skip) continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) pending.push(path)
      else if (!entry.isSymbolicLink()) bytes += sealFile(path, entry)
      else if (jail) keepInside(path, base)
    }
  }
  let sincePause = 0
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const current = folder
    const entries = yield* attemptSync(doing, () => openFolder(current))
    for (let from = 0; from < entries.length; from += portion) {
      const some = entries.slice(from, from + portion)
      yield* attemptSync(doing, () => sealPortion(current, some))
      sincePause += some.length
      if (sincePause >= portion) {
        sincePause = 0
        yield* Effect.yieldNow
      }
      if (bytes > limit) {
        const mebibytes = Math.floor(limit / 1024 / 1024)
        return yield* rejected(
          "output_too_large",
          `The build output is larger than ${mebibytes} MiB.`
        )
      }
    }
  }
  return bytes
})

const doing = "read the build output"
/** Entries between two pauses. */
const portion = 200

/** The permissions come first: a tenant may have taken them from itself. */
const openFolder = (path: string): ReadonlyArray<Dirent> => {
  const stat = lstatSync(path)
  takeOver(path, stat.uid)
  if ((stat.mode & 0o7777) !== 0o755) chmodSync(path, 0o755)
  return readdirSync(path, { withFileTypes: true })
}

const sealFile = (path: string, entry: Dirent): number => {
  if (!entry.isFile()) {
    unlinkSync(path)
    return 0
  }
  const stat = lstatSync(path)
  takeOver(path, stat.uid)
  const mode = (stat.mode & 0o111) === 0 ? 0o644 : 0o755
  if ((stat.mode & 0o7777) !== mode) chmodSync(path, mode)
  return stat.size
}

const takeOver = (path: string, owner: number): void => {
  if (process.getuid?.() === 0 && owner !== 0) lchownSync(path, 0, 0)
}

/** Files are served by someone who may follow links, so what they lead to must be inside. */
const keepInside = (path: string, base: string): void => {
  const target = targetOf(path)
  if (target !== base && !target.startsWith(`${base}/`)) unlinkSync(path)
}

const targetOf = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    // It leads nowhere yet; what it would lead to counts.
    return resolve(dirname(path), readlinkSync(path))
  }
}
