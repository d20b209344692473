/**
 * Serves the folder of a static release. The folder never changes while it is served (an artifact is
 * immutable), so what was found once is remembered.
 */
import { realpath, stat } from "node:fs/promises"
import type { IncomingMessage, ServerResponse } from "node:http"
import { join, sep } from "node:path"
import { type AcceptedCodings, acceptedCodings, noCoding } from "./AcceptEncoding.ts"
import type { FileCache } from "./FileCache.ts"
import { methodNotAllowed, nothingAt, sendPage } from "./Pages.ts"
import { sendFile } from "./SendFile.ts"
import { compressed, describe, type Location, type ServedFile, versionOf } from "./ServedFile.ts"
import { parseStaticPath } from "./StaticPath.ts"
import type { Variants } from "./Variants.ts"

export interface StaticFiles {
  readonly serve: (request: IncomingMessage, response: ServerResponse) => void
}

export interface StaticFilesOptions {
  readonly root: string
  /** Paths of a browser's navigation that lead to no file get `/index.html`. */
  readonly spa: boolean
  readonly cache: FileCache
  readonly variants: Variants
}

/** Rejects when `root` is no folder. */
export const makeStaticFiles = async (options: StaticFilesOptions): Promise<StaticFiles> => {
  const { cache, spa, variants } = options
  const root = await realpath(options.root)
  if (!(await stat(root)).isDirectory()) throw new Error("it is not a folder")
  // Not the files' own times: a release that was rolled back to is newer than what it replaces.
  const modified = Math.floor(Date.now() / 1000) * 1000
  const prefix = `${root}\0`
  const keyOf = (path: string, { id }: AcceptedCodings): string => `${prefix}${id}\0${path}`
  variants.prepare(root, () => cache.forget(prefix))

  const find = async (path: string, accepted: AcceptedCodings): Promise<Found> => {
    const names = parseStaticPath(path)
    if (names === null) return missing
    const wantsFolder = path.endsWith("/")
    const at = await locate(root, join(root, ...names))
    if (at?.folder === true) {
      if (!wantsFolder) return { kind: "redirect", to: folderPath(names) }
      return await found(join(at.path, "index.html"), accepted)
    }
    if (wantsFolder) return missing
    if (at !== null) return await representation(at, accepted)
    return await found(join(root, ...names.slice(0, -1), `${names.at(-1) ?? ""}.html`), accepted)
  }
  const found = async (path: string, accepted: AcceptedCodings): Promise<Found> => {
    const at = await locate(root, path)
    return at === null || at.folder ? missing : await representation(at, accepted)
  }
  const representation = async (at: Location, accepted: AcceptedCodings): Promise<Found> => {
    const file = await describe(at)
    for (const coding of file.varies ? accepted.codings : []) {
      const variant = await variants.find(file.etag.slice(1, -1), coding)
      if (variant !== null) return { kind: "file", file: await compressed(file, coding, variant) }
    }
    return { kind: "file", file }
  }

  const lookUp = async (path: string, accepted: AcceptedCodings): Promise<Found> => {
    const key = keyOf(path, accepted)
    const known = cache.get(key)
    if (known !== undefined) return { kind: "file", file: known }
    const result = await find(path, accepted)
    if (result.kind === "file") cache.set(key, result.file)
    return result
  }

  const answer = async (request: IncomingMessage, response: ServerResponse, path: string) => {
    const accepted = acceptedBy(request)
    const result = await lookUp(path, accepted)
    if (result.kind === "file") return sendFile(request, response, result.file, { modified })
    if (result.kind === "redirect") {
      const query = (request.url ?? "").slice(path.length)
      response.writeHead(301, { location: `${result.to}${query}`, "content-length": 0 })
      return response.end()
    }
    if (spa && isNavigation(request, path)) {
      const app = await lookUp("/", accepted)
      if (app.kind === "file") {
        return sendFile(request, response, app.file, { modified, vary: "Accept" })
      }
    }
    const own = await found(join(root, "404.html"), accepted)
    if (own.kind === "file") return sendFile(request, response, own.file, { status: 404 })
    sendPage(request, response, nothingAt(path))
  }

  return {
    serve: (request, response) => {
      if (request.method !== "GET" && request.method !== "HEAD") {
        return sendPage(request, response, methodNotAllowed(request.method))
      }
      const url = request.url ?? "/"
      const query = url.indexOf("?")
      const path = query === -1 ? url : url.slice(0, query)
      const known = cache.get(keyOf(path, acceptedBy(request)))
      if (known !== undefined) return sendFile(request, response, known, { modified })
      answer(request, response, path).catch(() => response.destroy())
    }
  }
}

/** Ranges are parts of the file as it is: parts of a compressed form are of no use to anybody. */
const acceptedBy = ({ headers, method }: IncomingMessage): AcceptedCodings =>
  headers.range !== undefined && method === "GET"
    ? noCoding
    : acceptedCodings(headers["accept-encoding"])

/** A script or a picture that is missing has to be missing: as a page it would fail in riddles. */
const isNavigation = ({ headers }: IncomingMessage, path: string): boolean =>
  headers.accept?.includes("text/html") === true &&
  parseStaticPath(path)?.at(-1)?.includes(".") !== true &&
  parseStaticPath(path) !== null

type Found =
  | { readonly kind: "file"; readonly file: ServedFile }
  | { readonly kind: "redirect"; readonly to: string }
  | { readonly kind: "missing" }
const missing: Found = { kind: "missing" }

/** What is at `path` once symlinks are followed; null also when they lead out of the root. */
const locate = async (root: string, path: string) => {
  try {
    const real = await realpath(path)
    if (real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) return null
    const info = await stat(real)
    if (!info.isDirectory() && !info.isFile()) return null
    return {
      path: real,
      folder: info.isDirectory(),
      size: info.size,
      version: versionOf(info)
    }
  } catch {
    return null
  }
}

const folderPath = (names: ReadonlyArray<string>): string =>
  `/${names.map(encodeURIComponent).join("/")}/`
