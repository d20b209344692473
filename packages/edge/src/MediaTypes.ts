/** Content-Type of a file by its extension. */
import { extname } from "node:path"

export const mediaTypeOf = (path: string): string =>
  byExtension.get(extname(path).slice(1).toLowerCase()) ?? "application/octet-stream"

/** Whether a type is worth compressing: most binary ones are compressed already. */
export const isCompressible = (mediaType: string): boolean =>
  /^(?:text\/|image\/(?:svg|x-icon|bmp)|font\/[ot]tf|application\/(?:json|xml|wasm|\w+\+))/u.test(
    mediaType
  )

const text = "; charset=utf-8"
const byExtension = new Map<string, string>([
  ["html", `text/html${text}`],
  ["htm", `text/html${text}`],
  ["css", `text/css${text}`],
  ["js", `text/javascript${text}`],
  ["mjs", `text/javascript${text}`],
  ["json", `application/json${text}`],
  ["map", `application/json${text}`],
  ["webmanifest", `application/manifest+json${text}`],
  ["txt", `text/plain${text}`],
  ["md", `text/markdown${text}`],
  ["csv", `text/csv${text}`],
  ["xml", `application/xml${text}`],
  ["rss", `application/rss+xml${text}`],
  ["atom", `application/atom+xml${text}`],
  ["svg", `image/svg+xml${text}`],
  ["ics", `text/calendar${text}`],
  ["vtt", `text/vtt${text}`],
  ["png", "image/png"],
  ["jpg", "image/jpeg"],
  ["jpeg", "image/jpeg"],
  ["gif", "image/gif"],
  ["webp", "image/webp"],
  ["avif", "image/avif"],
  ["ico", "image/x-icon"],
  ["bmp", "image/bmp"],
  ["woff", "font/woff"],
  ["woff2", "font/woff2"],
  ["ttf", "font/ttf"],
  ["otf", "font/otf"],
  ["mp3", "audio/mpeg"],
  ["ogg", "audio/ogg"],
  ["wav", "audio/wav"],
  ["m4a", "audio/mp4"],
  ["mp4", "video/mp4"],
  ["webm", "video/webm"],
  ["mov", "video/quicktime"],
  ["pdf", "application/pdf"],
  ["wasm", "application/wasm"],
  ["zip", "application/zip"],
  ["gz", "application/gzip"]
])
