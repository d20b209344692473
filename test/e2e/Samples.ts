/** Small applications as file trees, each of which says which version of it answers. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Files } from "./WorkTree.ts"

/** The sample applications that ship with the platform; version 1 until `version` says otherwise. */
export const sample = (
  name: "static" | "node" | "express" | "worker" | "dockerfile",
  version = "1"
): Files => {
  const folder = join(import.meta.dirname, "../samples", name)
  return Object.fromEntries(
    readdirSync(folder).map((file) => [
      file,
      readFileSync(join(folder, file), "utf8")
        .replace('const version = "1"', `const version = "${version}"`)
        .replace('<span id="version">1<', `<span id="version">${version}<`)
    ])
  )
}

/** The same files below a folder. */
export const below = (folder: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`${folder}/${name}`, text]))

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** How long a sample takes on purpose, in milliseconds. */
export interface Slow {
  readonly build?: number
  readonly start?: number
}

/** One file without dependencies; answers `<version> <GREETING>`. */
export const nodeApp = (version: string, slow: Slow = {}): Files => ({
  "package.json": json({
    name: "app",
    private: true,
    scripts: {
      start: "node server.js",
      ...(slow.build === undefined ? {} : { build: "node build.js" })
    }
  }),
  "build.js": `setTimeout(() => console.log("${version} is built"), ${slow.build ?? 0})\n`,
  "server.js": `const http = require("node:http")
const server = http.createServer((request, response) => {
  response.end("${version} " + (process.env.GREETING ?? ""))
})
const listen = () => server.listen(process.env.PORT, () => console.log("${version} listens"))
setTimeout(listen, ${slow.start ?? 0})
process.on("SIGTERM", () => server.close(() => process.exit(0)))
`
})

/** A site of one page. */
export const site = (version: string): Files => ({
  "index.html": `<!doctype html><title>${version}</title><p>${version}</p>\n`
})

/** `program` is the whole of server.js. */
export const program = (source: string, more: Record<string, unknown> = {}): Files => ({
  "package.json": json({
    name: "app",
    private: true,
    scripts: { start: "node server.js" },
    ...more
  }),
  "server.js": source
})
