/**
 * Serves the folder of a static release. The folder never changes while it is served (an artifact is
 * immutable), so what was found once is remembered.
 */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { readFile, realpath, stat } from "node:fs/promises"
import type { IncomingMessage, ServerResponse } from "node:http"
import { join, sep } from "node:path"
import { pipeline } from "node:stream"
import { type FileCache, type ServedFile, smallFileBytes } from "./FileCache.ts"
import { mediaTypeOf } from "./MediaTypes.ts"
import { sendPage } from "./Pages.ts"
import { parseStaticPath } from "./StaticPath.ts"

export interface StaticFiles {
  readonly serve: (request: IncomingMessage, response: ServerResponse) => void
}

/** Rejects when `root` is no folder. */
export const makeStaticFiles = async (root: string, cache: FileCache): Promise<StaticFiles> => {
  const realRoot = await realpath(root)
  if (!(await stat(realRoot)).isDirectory()) throw new Error("it is not a folder")

  const find = async (path: string): Promise<Found> => {
    const names = parseStaticPath(path)
    if (names === null) return missing
    const wantsFolder = path.endsWith("/")
    const at = await locate(realRoot, join(realRoot, ...names))
    if (at?.folder === true) {
      if (!wantsFolder) return { kind: "redirect", to: folderPath(names) }
      return await found(join(at.path, "index.html"))
    }
    if (wantsFolder) return missing
    if (at !== null) return { kind: "file", file: await describe(at.path, at.size, at.version) }
    return await found(join(realRoot, ...names.slice(0, -1), `${names.at(-1) ?? ""}.html`))
  }
  const found = async (path: string): Promise<Found> => {
    const at = await locate(realRoot, path)
    if (at === null || at.folder) return missing
    return { kind: "file", file: await describe(at.path, at.size, at.version) }
  }

  const answer = async (request: IncomingMessage, response: ServerResponse, path: string) => {
    const result = await find(path)
    if (response.destroyed) return
    if (result.kind === "file") {
      cache.set(`${realRoot}\0${path}`, result.file)
      return send(request, response, result.file, 200)
    }
    if (result.kind === "redirect") {
      const query = (request.url ?? "").slice(path.length)
      response.writeHead(301, { location: `${result.to}${query}`, "content-length": 0 })
      return response.end()
    }
    const own = await found(join(realRoot, "404.html"))
    if (own.kind === "file") return send(request, response, own.file, 404)
    sendPage(request, response, {
      status: 404,
      code: "not_found",
      title: "There is no such page",
      message: path === "/" ? "The site has no index.html." : `The site has nothing at ${path}.`,
      next: path === "/" ? "Add an index.html and push again." : "Check the path."
    })
  }

  return {
    serve: (request, response) => {
      if (request.method !== "GET" && request.method !== "HEAD") {
        return sendPage(request, response, {
          status: 405,
          code: "method_not_allowed",
          title: "Only reading is possible here",
          message: `This is a static site; it does not take ${request.method}.`,
          next: "Use GET or HEAD.",
          headers: { allow: "GET, HEAD" }
        })
      }
      const url = request.url ?? "/"
      const query = url.indexOf("?")
      const path = query === -1 ? url : url.slice(0, query)
      const known = cache.get(`${realRoot}\0${path}`)
      if (known !== undefined) return send(request, response, known, 200)
      answer(request, response, path).catch(() => response.destroy())
    }
  }
}

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
    const version = `${info.ino}-${info.mtimeMs}`
    return { path: real, folder: info.isDirectory(), size: info.size, version }
  } catch {
    return null
  }
}

const describe = async (path: string, size: number, version: string): Promise<ServedFile> => {
  const body = size <= smallFileBytes ? await readFile(path) : null
  // Hashing a large file would delay its first byte; its path names the artifact it belongs to.
  const hash = createHash("sha256").update(body ?? `${path}\0${size}\0${version}`)
  const contentType = mediaTypeOf(path)
  return {
    path,
    size: body?.length ?? size,
    etag: `"${hash.digest("base64url").slice(0, 27)}"`,
    contentType,
    // Short, because a file keeps its name from one release to the next; the ETag makes asking cheap.
    cacheControl: contentType.startsWith("text/html") ? "no-cache" : "public, max-age=60",
    body
  }
}

const folderPath = (names: ReadonlyArray<string>): string =>
  `/${names.map(encodeURIComponent).join("/")}/`

const send = (
  request: IncomingMessage,
  response: ServerResponse,
  file: ServedFile,
  status: 200 | 404
): void => {
  const head = ["ETag", file.etag, "Cache-Control", file.cacheControl]
  if (status === 200 && matches(request.headers["if-none-match"], file.etag)) {
    response.writeHead(304, head)
    response.end()
    return
  }
  head.push("Content-Type", file.contentType, "Accept-Ranges", "bytes")
  const range = status === 200 ? rangeOf(request, file) : null
  if (range === "unsatisfiable") {
    response.writeHead(416, ["Content-Range", `bytes */${file.size}`, "Content-Length", "0"])
    response.end()
    return
  }
  const start = range?.start ?? 0
  const end = range?.end ?? file.size - 1
  head.push("Content-Length", String(end - start + 1))
  if (range !== null) head.push("Content-Range", `bytes ${start}-${end}/${file.size}`)
  response.writeHead(range === null ? status : 206, head)
  if (request.method === "HEAD" || end < start) response.end()
  else if (file.body !== null) {
    response.end(range === null ? file.body : file.body.subarray(start, end + 1))
  } else {
    // A client that leaves is no fault; a file that can't be read any more cuts the answer short.
    pipeline(createReadStream(file.path, { start, end }), response, () => {})
  }
}

/** If-None-Match compares weakly: `W/` makes no difference. */
const matches = (header: string | undefined, etag: string): boolean => {
  if (header === undefined) return false
  if (header.trim() === "*") return true
  return header.split(",").some((tag) => tag.trim().replace(/^W\//u, "") === etag)
}

/** The one range that is asked for; null: the whole file. More than one is answered with the whole. */
const rangeOf = (
  request: IncomingMessage,
  { etag, size }: ServedFile
): { readonly start: number; readonly end: number } | "unsatisfiable" | null => {
  const { "if-range": ifRange, range } = request.headers
  if (range === undefined || request.method !== "GET") return null
  if (ifRange !== undefined && ifRange !== etag) return null
  const parts = /^bytes=\s*(\d*)-(\d*)\s*$/u.exec(range)
  if (parts === null) return null
  const [, first = "", last = ""] = parts
  if (first === "" && last === "") return null
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1)
  if (first !== "" && last !== "" && Number(last) < start) return null
  return start >= size || (first === "" && Number(last) === 0) ? "unsatisfiable" : { start, end }
}
