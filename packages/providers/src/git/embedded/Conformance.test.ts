/** The embedded provider is a Git: the kit, with the real git as the person at the other end. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as GitConformance from "@deploy-mcp/domain/conformance/GitConformance"
import { CommitSha } from "@deploy-mcp/domain/model/Names"
import { Host } from "@deploy-mcp/domain/Provider"
import { ConfigProvider, Effect, Layer } from "effect"
import { GitEmbedded } from "./GitEmbedded.ts"
import { bare, files, folder, run } from "./GitEmbedded.world.ts"

const provider = Layer.unwrap(Effect.map(GitEmbedded.config, GitEmbedded.make)).pipe(
  Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ path: process.env.PATH })))
)

const read = (directory: string) =>
  Effect.sync(() =>
    Object.fromEntries(
      readdirSync(directory, { recursive: true, encoding: "utf8" })
        .filter((name) => !name.startsWith(".git") && statSync(join(directory, name)).isFile())
        .map((name) => [name, readFileSync(join(directory, name), "utf8")])
    )
  )

GitConformance.suite("embedded", provider, {
  world: Layer.effect(
    Host,
    Effect.map(folder, (directory) => ({
      directory,
      artifacts: directory,
      node: { bin: "", version: "" }
    }))
  ),
  push: (repository, branch, contents) =>
    Effect.gen(function* () {
      const work = yield* files(contents)
      yield* run(work, ["add", "--all"])
      yield* run(work, ["commit", "-qm", "test"])
      yield* run(work, ["push", "-q", yield* bare(repository), `+HEAD:refs/heads/${branch}`])
      return CommitSha.make(yield* run(work, ["rev-parse", "HEAD"]))
    }),
  clone: (repository, branch) =>
    Effect.gen(function* () {
      const into = join(yield* folder, "clone")
      yield* run(".", ["clone", "-q", "--branch", branch, yield* bare(repository), into])
      return yield* read(into)
    }),
  folder: Effect.map(folder, (path) => join(path, "source")),
  read,
  write: (directory, contents) =>
    Effect.sync(() => {
      for (const [name, text] of Object.entries(contents)) {
        mkdirSync(dirname(join(directory, name)), { recursive: true })
        writeFileSync(join(directory, name), text)
      }
    })
})
