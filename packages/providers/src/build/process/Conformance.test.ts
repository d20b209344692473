/** The process provider is a Build: the kit, with the real npm and the sandbox that the machine has. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as BuildConformance from "@deploy-mcp/domain/conformance/BuildConformance"
import { Host } from "@deploy-mcp/domain/Provider"
import { ConfigProvider, Effect, Layer } from "effect"
import { BuildProcess } from "./BuildProcess.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "build-process-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const provider = Layer.unwrap(Effect.map(BuildProcess.config, BuildProcess.make)).pipe(
  Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ path: process.env.PATH })))
)

const script = (build: string) => ({
  "package.json": JSON.stringify({ scripts: { build, start: "node index.js" } }),
  "index.js": ""
})

BuildConformance.suite("process", provider, {
  world: Layer.effect(
    Host,
    Effect.map(folder, (directory) => ({
      directory: join(directory, "build"),
      artifacts: join(directory, "artifacts"),
      node: { bin: dirname(process.execPath), version: process.versions.node }
    }))
  ),
  source: (files) =>
    Effect.flatMap(Host, ({ directory }) =>
      Effect.sync(() => {
        const checkout = mkdtempSync(join(dirname(directory), "source-"))
        for (const [name, text] of Object.entries(files)) {
          mkdirSync(dirname(join(checkout, name)), { recursive: true })
          writeFileSync(join(checkout, name), text)
        }
        return checkout
      })
    ),
  read: ({ directory }) =>
    Effect.try(() =>
      Object.fromEntries(
        readdirSync(directory, { recursive: true, encoding: "utf8" })
          .filter((name) => statSync(join(directory, name)).isFile())
          .map((name) => [name, readFileSync(join(directory, name), "utf8")])
      )
    ),
  leftovers: Host.use(({ directory, artifacts }) =>
    Effect.sync(() => {
      const hidden = existsSync(artifacts) ? readdirSync(artifacts) : []
      return [
        ...readdirSync(join(directory, "work")),
        ...hidden.filter((name) => name.startsWith("."))
      ]
    })
  ),
  failing: script("echo the token is $TOKEN; exit 3"),
  endless: script("echo endless; sleep 1000")
})
