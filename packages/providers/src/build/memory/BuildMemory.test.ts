import {
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
import { Effect, Layer } from "effect"
import * as BuildMemory from "./BuildMemory.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "build-memory-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const provider = Layer.unwrap(
  Host.use(({ directory }) => Effect.succeed(BuildMemory.layer(directory)))
)

BuildConformance.suite("memory", provider, {
  world: Layer.effect(
    Host,
    Effect.map(folder, (directory) => ({
      directory,
      artifacts: directory,
      node: { bin: "", version: "" }
    }))
  ),
  source: (files) =>
    Effect.map(folder, (directory) => {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(directory, name)), { recursive: true })
        writeFileSync(join(directory, name), text)
      }
      return directory
    }),
  read: ({ directory }) =>
    Effect.try(() =>
      Object.fromEntries(
        readdirSync(directory, { recursive: true, encoding: "utf8" })
          .filter((name) => statSync(join(directory, name)).isFile())
          .map((name) => [name, readFileSync(join(directory, name), "utf8")])
      )
    ),
  leftovers: Host.use(({ directory }) =>
    Effect.sync(() =>
      readdirSync(directory).filter((name) => !/^[0-9a-f]{64}(\.json)?$/.test(name))
    )
  ),
  failing: { "build-fails": "" }
})
