/** The reference is git itself: a client that names version 0 is always answered by it. */
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Git, type GitExchange } from "@deploy-mcp/domain/Git"
import type { RepositoryId } from "@deploy-mcp/domain/model/Ids"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import {
  bare,
  codeOf,
  commit,
  files,
  folder,
  nextId,
  providerAt,
  repository,
  run
} from "./GitEmbedded.world.ts"

layer(
  Layer.unwrap(
    Effect.gen(function* () {
      const place = yield* folder
      const { path, started } = gitThatCounts(place)
      return Layer.merge(
        providerAt(join(place, "git"), { path: path }),
        Layer.succeed(Started, started)
      )
    })
  ),
  { excludeTestServices: true }
)("the first answer of a push", (it) => {
  it.effect("is git's own, byte for byte, wherever the refs lie, and starts no git", () =>
    Effect.gen(function* () {
      const id = yield* repository
      yield* isGits(id, "nothing pushed")
      const work = yield* files({ a: "1" })
      yield* commit(id, work, "main")
      yield* isGits(id, "one branch")
      yield* commit(id, work, "Upper")
      yield* commit(id, work, "feature/deep-1.x")
      yield* commit(id, work, "feature.b")
      yield* run(work, ["tag", "-a", "-m", "annotated", "v1.0+1"])
      yield* run(work, ["push", "-q", yield* bare(id), "v1.0+1"])
      yield* isGits(id, "branches and a tag")
      yield* run(yield* bare(id), ["pack-refs", "--all"])
      yield* isGits(id, "packed")
      yield* commit(id, work, "main")
      yield* isGits(id, "packed, and one of them loose and newer")
      yield* run(yield* bare(id), ["update-ref", "refs/internal/x", "refs/heads/main"])
      yield* isGits(id, "one that is hidden")
      const locked = join(yield* bare(id), "refs", "heads", "Upper.lock")
      yield* Effect.sync(() => writeFileSync(locked, ""))
      yield* isGits(id, "one that is being written")
      yield* run(yield* bare(id), ["update-ref", "-d", "refs/heads/main"])
      yield* isGits(id, "one deleted")
    })
  )

  it.effect("is left to git when refs are not plain", () =>
    Effect.gen(function* () {
      const id = yield* repository
      const work = yield* files({ a: "1" })
      const sha = yield* commit(id, work, "main")
      const repo = yield* bare(id)
      yield* run(repo, ["symbolic-ref", "refs/heads/other", "refs/heads/main"])
      yield* comesFromGit(id, "a symbolic ref")
      yield* run(repo, ["symbolic-ref", "-d", "refs/heads/other"])
      yield* run(repo, ["update-ref", "refs/notes/commits", sha])
      yield* comesFromGit(id, "notes")
      yield* run(repo, ["update-ref", "-d", "refs/notes/commits"])
      yield* run(repo, ["update-ref", "refs/tags/größe", sha])
      yield* comesFromGit(id, "a name that is not ASCII")
      yield* run(repo, ["update-ref", "-d", "refs/tags/größe"])
      const many = Array.from({ length: 100 }, (_, n) => `create refs/tags/t${n} ${sha}\n`).join("")
      yield* run(repo, ["update-ref", "--stdin"], { input: many })
      yield* comesFromGit(id, "many")
      yield* run(repo, ["pack-refs", "--all"])
      yield* isGits(id, "many, packed")
    })
  )

  it.effect("is no answer for those who may only read, or for a repository that is not there", () =>
    Effect.gen(function* () {
      const id = yield* repository
      const { status } = yield* ask(id, { access: "read" })
      assert.strictEqual(status, 403)
      assert.strictEqual(yield* codeOf(ask(nextId(), {})), "repository_missing")
    })
  )

  it.effect("of a fetch in version 2 says what git can do, and starts no git", () =>
    Effect.gen(function* () {
      const started = yield* Started
      const id = yield* repository
      const before = started()
      const query = "service=git-upload-pack"
      const { text } = yield* ask(id, { access: "read", query, protocol: "version=2" })
      assert.match(text, /^000eversion 2\n(?:.*\n)+0000$/u)
      assert.match(text, /\n....fetch=[^\n]*\bfilter\b/u)
      assert.strictEqual(started(), before)
    })
  )
})

class Started extends Context.Service<Started, () => number>()("Started") {}

/** A folder for PATH in which every start of the real `git-http-backend` leaves a line. */
const gitThatCounts = (place: string) => {
  const programs = execFileSync("git", ["--exec-path"], { encoding: "utf8" }).trim()
  const real = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim()
  const bin = join(place, "bin")
  const log = join(place, "started")
  const script = (name: string, text: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  mkdirSync(bin)
  mkdirSync(join(place, "git"))
  script("git", `if [ "$1" = --exec-path ]; then echo "${bin}"; else exec "${real}" "$@"; fi`)
  script("git-http-backend", `echo >> "${log}"; exec "${programs}/git-http-backend"`)
  return {
    path: `${bin}:${process.env.PATH}`,
    started: () => (existsSync(log) ? readFileSync(log).length : 0)
  }
}

const ask = Effect.fnUntraced(function* (id: RepositoryId, more: Partial<GitExchange>) {
  const git = yield* Git
  const reply = yield* git.exchange({
    repository: id,
    access: "write",
    method: "GET",
    path: "/info/refs",
    query: "service=git-receive-pack",
    contentType: undefined,
    contentEncoding: undefined,
    protocol: undefined,
    body: Stream.empty,
    pushed: () => Stream.empty,
    ...more
  })
  const text = yield* Stream.mkString(Stream.decodeText(reply.body))
  return { status: reply.status, type: reply.headers["content-type"], text }
}, Effect.scoped)

const both = Effect.fnUntraced(function* (id: RepositoryId) {
  const started = yield* Started
  const before = started()
  const ours = yield* ask(id, {})
  const starts = started() - before
  return { ours, gits: yield* ask(id, { protocol: "version=0" }), starts }
})

const isGits = Effect.fnUntraced(function* (id: RepositoryId, what: string) {
  const { ours, gits, starts } = yield* both(id)
  assert.deepStrictEqual(ours, gits, what)
  assert.strictEqual(starts, 0, what)
})

const comesFromGit = Effect.fnUntraced(function* (id: RepositoryId, what: string) {
  const { ours, gits, starts } = yield* both(id)
  assert.deepStrictEqual(ours, gits, what)
  assert.strictEqual(starts, 1, what)
})
