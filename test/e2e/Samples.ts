/** Small applications as file trees, each of which says which version of it answers. */
import type { Files } from "./WorkTree.ts"

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
