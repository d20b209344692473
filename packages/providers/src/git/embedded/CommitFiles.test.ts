import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { Git } from "@deploy-mcp/domain/Git"
import { BranchName, FilePath } from "@deploy-mcp/domain/model/Names"
import * as Provider from "@deploy-mcp/domain/Provider"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import {
  bare,
  checkout,
  codeOf,
  commit,
  files,
  folder,
  main,
  nextRepository,
  provider,
  repository,
  run
} from "./GitEmbedded.world.ts"

const file = (path: string, content: string | Uint8Array, executable = false) => ({
  path: FilePath.make(path),
  content: typeof content === "string" ? Buffer.from(content) : content,
  executable
})

layer(provider({ max_push_bytes: 100_000 }), { excludeTestServices: true })(
  "commits made for a caller",
  (it) => {
    it.effect("hold exactly the files, byte for byte, after what was there", () =>
      Effect.gen(function* () {
        const git = yield* Git
        const hosted = yield* repository
        const first = yield* commit(hosted, yield* files({ old: "1", kept: "1" }), "main")
        const bytes = Uint8Array.from({ length: 300 }, (_, index) => index % 256)
        const second = yield* git.commit(
          hosted,
          main,
          [
            file("kept", "2"),
            file("a b/[hosted] ü.txt", "from :1\nM 100644 inline evil\ndata 1\nx\n"),
            file("bytes", bytes),
            file("run.sh", "#!/bin/sh\n", true)
          ],
          "A message\nof two lines"
        )
        assert.strictEqual(yield* git.head(hosted, main), second)
        const into = join(yield* folder, "into")
        yield* checkout(hosted, second, into)
        const names = yield* Effect.promise(() => readdir(into, { recursive: true }))
        assert.deepStrictEqual(names.toSorted(), [
          "a b",
          "a b/[hosted] ü.txt",
          "bytes",
          "kept",
          "run.sh"
        ])
        const found = yield* Effect.promise(() => readFile(join(into, "bytes")))
        assert.deepStrictEqual([...found], [...bytes])
        const script = yield* Effect.promise(() => stat(join(into, "run.sh")))
        assert.strictEqual(script.mode & 0o111, 0o111)
        const log = yield* run(yield* bare(hosted), ["log", "--format=%H", "main"])
        assert.deepStrictEqual(log.trim().split("\n"), [second, first])
      })
    )

    it.effect("begin an empty repository, and are not repeated for the same content", () =>
      Effect.gen(function* () {
        const git = yield* Git
        const hosted = yield* repository
        const next = BranchName.make("next")
        const make = git.commit(hosted, next, [file("a", "1")], "one")
        const one = yield* make
        assert.strictEqual(yield* make, one)
        assert.deepStrictEqual(yield* git.branches(hosted), [{ branch: next, commit: one }])
        const refs = yield* run(yield* bare(hosted), ["for-each-ref", "--format=%(refname)"])
        assert.strictEqual(refs.trim(), "refs/heads/next")
        const { directory } = yield* Provider.Host
        const left = yield* Effect.promise(() => readdir(join(directory, ".server", "tmp")))
        assert.deepStrictEqual(left, [])
      })
    )

    it.effect("are refused for a repository that is missing, and for too much", () =>
      Effect.gen(function* () {
        const git = yield* Git
        const missing = git.commit(nextRepository(), main, [file("a", "1")], "one")
        assert.strictEqual(yield* codeOf(missing), "repository_missing")
        const hosted = yield* repository
        const large = git.commit(hosted, main, [file("a", "x".repeat(100_001))], "large")
        assert.strictEqual(yield* codeOf(large), "source_too_large")
        assert.isNull(yield* git.head(hosted, main))
      })
    )
  }
)
