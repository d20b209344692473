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
import * as GitConformance from "@deploy-mcp/domain/conformance/GitConformance"
import { Effect } from "effect"
import * as GitMemory from "./GitMemory.ts"

GitConformance.suite("memory", GitMemory.provider, {
  world: GitMemory.GitWorld.layer,
  push: (repository, branch, files) =>
    GitMemory.GitWorld.use(({ commit }) => Effect.sync(() => commit(repository.id, branch, files))),
  clone: (repository, branch) =>
    GitMemory.GitWorld.use(({ repositories }) => {
      const known = repositories.get(repository.id)
      const commit = known?.branches.get(branch)
      return Effect.fromNullishOr(commit === undefined ? null : known?.commits.get(commit))
    }),
  folder: Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "git-memory-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    ),
    (path) => join(path, "source")
  ),
  read: (folder) =>
    Effect.sync(() =>
      Object.fromEntries(
        readdirSync(folder, { recursive: true, encoding: "utf8" })
          .filter((name) => statSync(join(folder, name)).isFile())
          .map((name) => [name, readFileSync(join(folder, name), "utf8")])
      )
    ),
  write: (folder, files) =>
    Effect.sync(() => {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, name)), { recursive: true })
        writeFileSync(join(folder, name), text)
      }
    }),
  unsupported: ["exchange"]
})
