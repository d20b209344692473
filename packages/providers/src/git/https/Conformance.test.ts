/** The https provider is a Git that only reads: the kit, with another host on loopback. */
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import * as GitConformance from "@deploy-mcp/domain/conformance/GitConformance"
import { CommitSha } from "@deploy-mcp/domain/model/Names"
import type { Repository } from "@deploy-mcp/domain/model/Service"
import { Effect, Semaphore } from "effect"
import { Elsewhere, elsewhere, folder, providerThere, run } from "./GitHttps.world.ts"

/** Two gits may not write one configuration. */
const oneAtATime = Semaphore.makeUnsafe(1)

const bareOf = ({ owner, name }: Repository) =>
  Elsewhere.useSync(({ root }) => join(root, owner, `${name}.git`))

const read = (directory: string) =>
  Effect.promise(async () => {
    const names = await readdir(directory, { recursive: true })
    const files = names.filter((name) => !name.startsWith(".git"))
    const entries = await Promise.all(
      files.map(async (name) => {
        const path = join(directory, name)
        return (await stat(path)).isFile() ? [[name, await readFile(path, "utf8")]] : []
      })
    )
    return Object.fromEntries(entries.flat())
  })

const writeAll = async (directory: string, files: GitConformance.Files) => {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true })
    await writeFile(join(directory, name), text)
  }
}

GitConformance.suite("https", providerThere(), {
  world: elsewhere,
  make: (repository) =>
    Effect.gen(function* () {
      const bare = yield* bareOf(repository)
      yield* Effect.promise(() => mkdir(bare, { recursive: true }))
      yield* run(bare, ["init", "-q", "--bare", "--template="])
      yield* run(bare, ["config", "uploadpack.allowFilter", "true"])
    }).pipe(oneAtATime.withPermit),
  push: (repository, branch, files) =>
    Effect.gen(function* () {
      const [bare, work] = [yield* bareOf(repository), yield* folder]
      yield* run(work, ["init", "-q"])
      yield* Effect.promise(() => writeAll(work, files))
      yield* run(work, ["add", "--all"])
      yield* run(work, ["commit", "-qm", "test"])
      yield* run(work, ["push", "-q", bare, `+HEAD:refs/heads/${branch}`])
      return CommitSha.make(yield* run(work, ["rev-parse", "HEAD"]))
    }),
  clone: (repository, branch) =>
    Effect.gen(function* () {
      const into = join(yield* folder, "clone")
      yield* run(".", ["clone", "-q", "--branch", branch, yield* bareOf(repository), into])
      return yield* read(into)
    }),
  folder: Effect.map(folder, (path) => join(path, "source")),
  read,
  write: (directory, files) => Effect.promise(() => writeAll(directory, files)),
  unsupported: ["commit", "exchange"]
})
