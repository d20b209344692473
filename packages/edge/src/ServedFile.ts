/** A file of a static release, or a compressed form of one, as it is served. */
import { createHash } from "node:crypto"
import type { Stats } from "node:fs"
import { readFile } from "node:fs/promises"
import type { Coding } from "./AcceptEncoding.ts"
import { isCompressible, mediaTypeOf } from "./MediaTypes.ts"

export interface ServedFile {
  /** Absolute, without symlinks. */
  readonly path: string
  readonly size: number
  readonly etag: string
  readonly contentType: string
  readonly cacheControl: string
  /** Null: as it is. */
  readonly coding: Coding | null
  /** There may be compressed forms: what is answered depends on Accept-Encoding. */
  readonly varies: boolean
  /** Null: too large, streamed from disk. */
  readonly body: Buffer | null
}

/** Where a file is, once symlinks are followed. */
export interface Location {
  readonly path: string
  readonly size: number
  /** Another one when the file was replaced. */
  readonly version: string
}

export const versionOf = ({ ino, mtimeMs }: Stats): string => `${ino}-${mtimeMs}`

/** Files up to this many bytes are read whole. */
export const smallFileBytes = 1024 * 1024

export const describe = async (at: Location): Promise<ServedFile> => {
  const { path } = at
  const body = at.size <= smallFileBytes ? await readFile(path) : null
  const contentType = mediaTypeOf(path)
  return {
    path,
    size: body?.length ?? at.size,
    etag: `"${fingerprint(at, body)}"`,
    contentType,
    // Short, because a file keeps its name from one release to the next; the ETag makes asking cheap.
    cacheControl: contentType.startsWith("text/html") ? "no-cache" : "public, max-age=60",
    coding: null,
    varies: isWorthCompressing(contentType, at.size),
    body
  }
}

/** By content; hashing a large file would delay its first byte, its path names the artifact it belongs to. */
export const fingerprint = ({ path, size, version }: Location, body: Buffer | null): string =>
  createHash("sha256")
    .update(body ?? `${path}\0${size}\0${version}`)
    .digest("base64url")
    .slice(0, 27)

/** Smaller ones fit into one packet anyway; larger ones would need too much memory at a time. */
export const isWorthCompressing = (contentType: string, size: number): boolean =>
  size >= 1024 && size <= 8 * 1024 * 1024 && isCompressible(contentType)

/** The same file in a compressed form: another representation, so another ETag. */
export const compressed = async (
  file: ServedFile,
  coding: Coding,
  at: { readonly path: string; readonly size: number }
): Promise<ServedFile> => ({
  ...file,
  path: at.path,
  size: at.size,
  etag: `${file.etag.slice(0, -1)}-${coding}"`,
  coding,
  body: at.size <= smallFileBytes ? await readFile(at.path) : null
})
