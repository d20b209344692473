import { chmod, lstat, readdir, readFile, readlink, symlink } from "node:fs/promises"
import { join } from "node:path"
import { Git } from "@deploy-mcp/domain/Git"
import { BranchName, CommitSha } from "@deploy-mcp/domain/model/Names"
import * as Provider from "@deploy-mcp/domain/Provider"
import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import {
  codeOf,
  commit,
  Elsewhere,
  ensure,
  folder,
  main,
  provider,
  repository,
  repositoryOf,
  run
} from "./GitHttps.world.ts"

layer(provider(), { excludeTestServices: true })("repositories of another host", (it) => {
  it.effect("heads are those of the branch that is named, and move with it", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const there = yield* repository
      yield* git.ensureRepository(there.repo)
      assert.isNull(yield* git.head(there.repo, main))
      assert.deepStrictEqual(yield* git.branches(there.repo), [])
      const one = yield* commit(there, { a: "1" })
      yield* commit(there, { a: "other" }, "x/refs/heads/main")
      assert.strictEqual(yield* git.head(there.repo, main), one)
      const two = yield* commit(there, { a: "2" })
      assert.strictEqual(yield* git.head(there.repo, main), two)
      assert.isNull(yield* git.head(there.repo, BranchName.make("mai")))
    })
  )

  for (const filter of ["true", "false"]) {
    it.effect(`branches come newest first, where partial clones are allowed: ${filter}`, () =>
      Effect.gen(function* () {
        const there = yield* repository
        yield* run(there.bare, ["config", "uploadpack.allowFilter", filter])
        const old = yield* commit(there, { a: "1" }, "old", "2020-01-01T00:00:00Z")
        const newest = yield* commit(there, { a: "2" }, "a/new", "2030-01-01T00:00:00Z")
        const middle = yield* commit(there, { a: "3" }, "main", "2025-01-01T00:00:00Z")
        yield* run(there.bare, ["update-ref", "refs/heads/what@no", newest])
        yield* run(there.bare, ["update-ref", "refs/pull/1/head", newest])
        assert.deepStrictEqual(yield* Git.use((git) => git.branches(there.repo)), [
          { branch: BranchName.make("a/new"), commit: newest },
          { branch: main, commit: middle },
          { branch: BranchName.make("old"), commit: old }
        ])
      })
    )
  }

  it.effect("a checkout writes what was committed, and nothing that attributes ask for", () =>
    Effect.gen(function* () {
      const there = yield* repository
      yield* Effect.promise(async () => {
        await symlink("../../outside", join(there.work, "link"))
      })
      const sha = yield* commit(there, {
        "run.sh": "#!/bin/sh\n",
        "deep/er/file.txt": "x\ny\n",
        "kept.txt": "kept",
        id: "$Id$",
        ".gitattributes":
          "kept.txt export-ignore\nid ident\n*.txt text eol=crlf\nrun.sh filter=evil\n",
        ".gitmodules": '[submodule "s"]\n\tpath = s\n\turl = https://other.example.test/o/s.git\n'
      })
      const into = yield* folder
      yield* Effect.promise(() => chmod(into, 0o755))
      yield* Git.use((git) => git.checkout(there.repo, sha, into))
      const found = yield* Effect.promise(async () => ({
        names: (await readdir(into)).sort(),
        link: await readlink(join(into, "link")),
        text: await readFile(join(into, "deep/er/file.txt"), "utf8"),
        id: await readFile(join(into, "id"), "utf8"),
        mode: (await lstat(join(into, "run.sh"))).mode & 0o111
      }))
      assert.deepStrictEqual(found, {
        names: [".gitattributes", ".gitmodules", "deep", "id", "kept.txt", "link", "run.sh"],
        link: "../../outside",
        text: "x\ny\n",
        id: "$Id$",
        mode: 0
      })
    })
  )

  it.effect("an old commit is fetched by its name alone; a known one isn't fetched again", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const { asked } = yield* Elsewhere
      const there = yield* repository
      const old = yield* commit(there, { a: "1", b: "1" })
      yield* commit(there, { a: "2" })
      const into = yield* folder
      yield* git.checkout(there.repo, old, into)
      assert.strictEqual(yield* Effect.promise(() => readFile(join(into, "a"), "utf8")), "1")
      const newest = yield* commit(there, { a: "3" })
      yield* git.checkout(there.repo, newest, into)
      assert.strictEqual(yield* Effect.promise(() => readFile(join(into, "a"), "utf8")), "3")
      assert.strictEqual(yield* Effect.promise(() => readFile(join(into, "b"), "utf8")), "1")
      const before = asked.length
      yield* Effect.all(
        [yield* folder, yield* folder, yield* folder].map((each) =>
          git.checkout(there.repo, newest, each)
        )
      )
      assert.strictEqual(asked.length, before)
      yield* git.removeRepository(there.repo)
      yield* git.removeRepository(there.repo)
      yield* git.checkout(there.repo, newest, into)
      assert.isAbove(asked.length, before)
    })
  )

  it.effect("checkouts of one repository at the same time all get their files", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const there = yield* repository
      const even = yield* commit(there, { a: "0" })
      const odd = yield* commit(there, { a: "1" })
      const folders = [yield* folder, yield* folder, yield* folder, yield* folder]
      yield* Effect.all(
        folders.map((into, index) => git.checkout(there.repo, index % 2 === 0 ? even : odd, into)),
        { concurrency: "unbounded" }
      )
      for (const [index, into] of folders.entries()) {
        const text = yield* Effect.promise(() => readFile(join(into, "a"), "utf8"))
        assert.strictEqual(text, String(index % 2))
      }
      const { directory } = yield* Provider.Host
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(join(directory, "tmp"))), [])
    })
  )

  it.effect(
    "what does not exist is named as such, whether the host says so or asks who you are",
    () =>
      Effect.gen(function* () {
        const git = yield* Git
        const { detour } = yield* Elsewhere
        const there = yield* repository
        yield* commit(there, { a: "1" })
        const missing = CommitSha.make("1".repeat(40))
        const into = yield* folder
        assert.strictEqual(yield* codeOf(git.checkout(there.repo, missing, into)), "branch_missing")
        const absent = repositoryOf({ name: "absent" })
        const secret = repositoryOf({ name: "secret" })
        detour.answer = (url, response) => {
          if (!url.includes("/secret.git")) return false
          response.writeHead(401, { "WWW-Authenticate": 'Basic realm="git"' }).end()
          return true
        }
        for (const id of [absent, secret, repositoryOf()]) {
          assert.strictEqual(yield* codeOf(ensure(id)), "repository_missing")
          assert.strictEqual(yield* codeOf(git.checkout(id, missing, into)), "repository_missing")
          assert.isNull(yield* git.head(id, main))
          assert.deepStrictEqual(yield* git.branches(id), [])
        }
        detour.answer = null
      })
  )

  it.effect("pushing to another host is not supported", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const there = yield* repository
      const error = yield* Effect.flip(git.commit(there.repo, main, [], "test"))
      assert.strictEqual(error.reason._tag, "Unsupported")
      const other = yield* Effect.flip(
        Effect.scoped(
          git.exchange({
            repository: there.repo,
            access: "write",
            method: "GET",
            path: "/info/refs",
            query: "service=git-receive-pack",
            contentType: undefined,
            contentEncoding: undefined,
            protocol: undefined,
            body: Stream.empty,
            pushed: () => Stream.empty
          })
        )
      )
      assert.strictEqual(other.reason._tag, "Unsupported")
      assert.isFalse(other.isRetryable)
    })
  )
})
