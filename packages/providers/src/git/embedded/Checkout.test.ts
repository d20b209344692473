import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  symlink,
  writeFile
} from "node:fs/promises"
import { join } from "node:path"
import { failureOf } from "@deploy-mcp/domain/Fault"
import { CommitSha } from "@deploy-mcp/domain/model/Names"
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
  nextRepository,
  provider,
  repository,
  run,
  tree
} from "./GitEmbedded.world.ts"

layer(provider({}), { excludeTestServices: true })("checkout", (it) => {
  it.effect(
    "modes, links, folders and names come out as they went in; what was there is gone",
    () =>
      Effect.gen(function* () {
        const hosted = yield* repository
        const work = yield* files({
          "index.html": "hello",
          "deep/er/file.txt": "x\r\ny\n",
          "run.sh": "#!/bin/sh\n",
          "-rf": "dash",
          "ä b\n.txt": "name"
        })
        yield* Effect.promise(async () => {
          await chmod(join(work, "run.sh"), 0o755)
          await symlink("../../outside", join(work, "deep", "link"))
        })
        const sha = yield* commit(hosted, work, "main")
        const into = yield* folder
        yield* Effect.promise(() => writeFile(join(into, "old"), "old"))
        yield* checkout(hosted, sha, into)
        const found = yield* Effect.promise(async () => ({
          names: (await readdir(into)).sort(),
          mode: (await lstat(join(into, "run.sh"))).mode & 0o111,
          plain: (await lstat(join(into, "index.html"))).mode & 0o111,
          link: await readlink(join(into, "deep", "link")),
          text: await readFile(join(into, "deep", "er", "file.txt"), "utf8")
        }))
        assert.deepStrictEqual(found, {
          names: ["-rf", "deep", "index.html", "run.sh", "ä b\n.txt"].sort(),
          mode: 0o111,
          plain: 0,
          link: "../../outside",
          text: "x\r\ny\n"
        })
      })
  )

  it.effect("no attribute of the pushed tree changes a byte or leaves a file out", () =>
    Effect.gen(function* () {
      const hosted = yield* repository
      const work = yield* files({
        ".gitattributes": [
          "kept export-ignore",
          "subst export-subst",
          "ident ident",
          "lines text eol=crlf",
          "wide text working-tree-encoding=UTF-16LE",
          "filtered filter=lfs",
          ""
        ].join("\n"),
        kept: "kept",
        subst: "$Format:%H$\n",
        ident: "$Id$\n",
        lines: "a\nb\n",
        filtered: "version https://git-lfs.github.com/spec/v1\n"
      })
      const sha = yield* commit(hosted, work, "main")
      const into = yield* folder
      yield* checkout(hosted, sha, into)
      for (const name of ["kept", "subst", "ident", "lines", "filtered"]) {
        assert.strictEqual(
          yield* Effect.promise(() => readFile(join(into, name), "utf8")),
          yield* Effect.promise(() => readFile(join(work, name), "utf8")),
          name
        )
      }
    })
  )

  it.effect("a submodule is an empty folder and no error", () =>
    Effect.gen(function* () {
      const hosted = yield* repository
      const work = yield* files({ a: "1" })
      yield* commit(hosted, work, "main")
      yield* run(work, [
        "update-index",
        "--add",
        "--cacheinfo",
        `160000,${"1".repeat(40)},vendor/lib`
      ])
      yield* run(work, ["commit", "-qm", "submodule"])
      const sha = CommitSha.make(yield* run(work, ["rev-parse", "HEAD"]))
      yield* run(work, ["push", "-q", yield* bare(hosted), "HEAD:main"])
      const into = yield* folder
      yield* checkout(hosted, sha, into)
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(join(into, "vendor", "lib"))), [])
    })
  )

  it.effect("a tree that reaches outside is refused, and nothing outside is touched", () =>
    Effect.gen(function* () {
      const hosted = yield* repository
      const repo = yield* bare(hosted)
      const parent = yield* folder
      yield* Effect.promise(() => mkdir(join(parent, "outside")))
      const blob = yield* run(repo, ["hash-object", "-w", "--stdin"], { input: "evil" })
      const inner = yield* tree(repo, [["100644", "x", blob]])
      const link = yield* run(repo, ["hash-object", "-w", "--stdin"], {
        input: join(parent, "outside")
      })
      for (const entries of [
        [["40000", "..", inner]],
        [["40000", ".git", inner]],
        [["100644", "../x", blob]],
        [["100644", "/x", blob]],
        [
          ["120000", "a", link],
          ["40000", "a", inner]
        ]
      ] as const) {
        const sha = yield* run(repo, ["commit-tree", "-m", "evil", yield* tree(repo, entries)])
        yield* Effect.exit(checkout(hosted, CommitSha.make(sha), join(parent, "into")))
        const around = yield* Effect.promise(() => readdir(parent))
        const outside = yield* Effect.promise(() => readdir(join(parent, "outside")))
        assert.deepStrictEqual(outside, [], JSON.stringify(entries))
        assert.isTrue(around.every((name) => name === "outside" || name === "into"))
      }
    })
  )

  it.effect("what does not exist is named by its code, without a path of this machine", () =>
    Effect.gen(function* () {
      const hosted = yield* repository
      const { directory } = yield* Provider.Host
      const into = yield* folder
      const missing = CommitSha.make("1".repeat(40))
      assert.strictEqual(yield* codeOf(checkout(hosted, missing, into)), "branch_missing")
      assert.strictEqual(
        yield* codeOf(checkout(nextRepository(), missing, into)),
        "repository_missing"
      )
      const error = yield* Effect.flip(checkout(hosted, missing, into))
      assert.notInclude(JSON.stringify(failureOf(error.reason)), directory)
    })
  )

  it.effect("2,000 files", () =>
    Effect.gen(function* () {
      const hosted = yield* repository
      const repo = yield* bare(hosted)
      const blob = yield* run(repo, ["hash-object", "-w", "--stdin"], { input: "x" })
      const names = (prefix: string, length: number) =>
        Array.from({ length }, (_, n) => `${prefix}${String(n).padStart(2, "0")}`)
      const inner = yield* tree(
        repo,
        names("f", 40).map((name) => ["100644", name, blob] as const)
      )
      const outer = yield* tree(
        repo,
        names("d", 50).map((name) => ["40000", name, inner] as const)
      )
      const sha = CommitSha.make(yield* run(repo, ["commit-tree", "-m", "many", outer]))
      const into = yield* folder
      yield* checkout(hosted, sha, into)
      const out = yield* Effect.promise(() => readdir(into, { recursive: true }))
      assert.lengthOf(out, 2_050)
    })
  )
})

layer(provider({ max_source_bytes: 1_000, max_source_files: 3 }), {
  excludeTestServices: true
})("checkout with small limits", (it) => {
  it.effect("too many files and too many bytes are refused, and nothing stays", () =>
    Effect.gen(function* () {
      const hosted = yield* repository
      const into = yield* folder
      const many = yield* commit(hosted, yield* files({ a: "", b: "", c: "", d: "" }), "many")
      const large = yield* commit(hosted, yield* files({ a: "x".repeat(1_001) }), "large")
      const fits = yield* commit(
        hosted,
        yield* files({ a: "x".repeat(998), b: "", c: "1" }),
        "fits"
      )
      for (const sha of [many, large]) {
        assert.strictEqual(
          yield* codeOf(checkout(hosted, sha, join(into, "x"))),
          "source_too_large"
        )
        assert.deepStrictEqual(yield* Effect.promise(() => readdir(into)), [])
      }
      yield* checkout(hosted, fits, join(into, "x"))
    })
  )
})
