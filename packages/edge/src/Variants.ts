/**
 * Compressed forms of the files of static releases: made once, in the background, one at a time, and
 * kept on disk by the content they were made of. What is not ready yet is served as it is.
 */
import { createHash } from "node:crypto"
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { promisify } from "node:util"
import { brotliCompress, constants, gzip } from "node:zlib"
import type { Coding } from "./AcceptEncoding.ts"
import { writeAtomic } from "./AtomicFile.ts"
import { type Log, reasonOf } from "./Log.ts"
import { mediaTypeOf } from "./MediaTypes.ts"
import {
  fingerprint,
  isWorthCompressing,
  type Location,
  smallFileBytes,
  versionOf
} from "./ServedFile.ts"

export interface Variants {
  /** The compressed form that is ready; null: there is none. */
  readonly find: (
    fingerprint: string,
    coding: Coding
  ) => Promise<{ readonly path: string; readonly size: number } | null>
  /** Compresses what is worth it below `root` when its turn comes, then calls back if anything is new. */
  readonly prepare: (root: string, onReady: () => void) => void
  /** Gives up what is left to do; resolves when nothing is written any more. */
  readonly close: () => Promise<void>
}

export interface VariantsOptions {
  readonly folder: string
  readonly log: Log
  /** All forms of all releases together; the oldest leave first. */
  readonly maxBytes?: number
  /** Some have left: what was found before may be gone. */
  readonly onPruned: () => void
}

export const makeVariants = (options: VariantsOptions): Variants => {
  const { folder, log, maxBytes = 256 * 1024 * 1024 } = options
  const ending = new AbortController()
  const { signal } = ending
  let last: Promise<void> = Promise.resolve()

  const prepareNow = async (root: string, onReady: () => void): Promise<void> => {
    // The deployment that this release belongs to has the processor first.
    await setTimeout(restMs, null, { signal, ref: false })
    const { ino, mtimeMs } = await stat(root)
    const mark = createHash("sha256").update(`${root}\0${ino}\0${mtimeMs}`).digest("base64url")
    const done = join(folder, `${mark}.done`)
    if (await exists(done)) return
    // Not with its parents: a home that has vanished must not come back.
    if (!(await exists(folder))) await mkdir(folder, { mode: 0o700 })
    let made = 0
    for (const at of await worthwhileBelow(root)) made += await compressFile(at)
    if (made > 0) onReady()
    await writeAtomic(done, "")
    if (made > 0 && (await prune(folder, maxBytes))) options.onPruned()
  }

  const compressFile = async (at: Location): Promise<number> => {
    const body = await readFile(at.path)
    const key = fingerprint(at, body.length <= smallFileBytes ? body : null)
    let made = 0
    for (const coding of ["br", "gzip"] as const) {
      signal.throwIfAborted()
      const path = join(folder, `${key}.${coding}`)
      if (await exists(path)) continue
      const began = performance.now()
      const small = await compress[coding](body)
      const took = performance.now() - began
      // An empty one says that trying again is of no use.
      await writeAtomic(path, small.length < body.length * 0.9 ? small : "")
      made += 1
      // At most half of one core: the services of this node come first.
      await setTimeout(took, null, { signal, ref: false })
    }
    return made
  }

  return {
    find: async (key, coding) => {
      const path = join(folder, `${key}.${coding}`)
      const found = await stat(path).catch(() => null)
      return found === null || found.size === 0 ? null : { path, size: found.size }
    },
    prepare: (root, onReady) => {
      last = last
        .then(() => prepareNow(root, onReady))
        .catch((error) => {
          if (!signal.aborted) log(`can't compress the files of ${root}: ${reasonOf(error)}`)
        })
    },
    close: async () => {
      ending.abort()
      await last
    }
  }
}

const restMs = 300
const maxFiles = 5_000

const brotli = promisify(brotliCompress)
const compress = {
  br: (body: Buffer): Promise<Buffer> =>
    brotli(body, {
      params: {
        // The last two steps need twenty times as long for a few percent.
        [constants.BROTLI_PARAM_QUALITY]: body.length <= 128 * 1024 ? 11 : 9,
        [constants.BROTLI_PARAM_SIZE_HINT]: body.length
      }
    }),
  gzip: (body: Buffer): Promise<Buffer> => promisify(gzip)(body, { level: 9 })
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false
  )

/** Symlinks are left out: what they lead to has its own place below the root, or none. */
const worthwhileBelow = async (root: string): Promise<ReadonlyArray<Location>> => {
  const found: Array<Location> = []
  const folders = [root]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.name.startsWith(".")) continue
      if (entry.isDirectory()) folders.push(path)
      else if (entry.isFile() && isWorthCompressing(mediaTypeOf(path), 1024)) {
        const info = await stat(path)
        if (!isWorthCompressing(mediaTypeOf(path), info.size)) continue
        found.push({ path, size: info.size, version: versionOf(info) })
        if (found.length === maxFiles) return found
      }
    }
  }
  return found
}

/** Where something was removed, no release counts as done any more. */
const prune = async (folder: string, maxBytes: number): Promise<boolean> => {
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const path = join(folder, name)
      const { mtimeMs, size } = await stat(path)
      return { path, mtimeMs, size, mark: name.endsWith(".done") }
    })
  )
  let bytes = files.reduce((sum, { size }) => sum + size, 0)
  if (bytes <= maxBytes) return false
  for (const file of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
    if (!file.mark && bytes <= maxBytes) continue
    await rm(file.path, { force: true })
    bytes -= file.size
  }
  return true
}
