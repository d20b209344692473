/** The reference is git itself: a client that names version 0 is always answered by it. */
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Repository } from "@deploy-mcp/domain/model/Service"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import {
  ask,
  bare,
  codeOf,
  commit,
  files,
  folder,
  nextRepository,
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
      const hosted = yield* repository
      yield* isGits(hosted, "nothing pushed")
      const work = yield* files({ a: "1" })
      yield* commit(hosted, work, "main")
      yield* isGits(hosted, "one branch")
      yield* commit(hosted, work, "Upper")
      yield* commit(hosted, work, "feature/deep-1.x")
      yield* commit(hosted, work, "feature.b")
      yield* run(work, ["tag", "-a", "-m", "annotated", "v1.0+1"])
      yield* run(work, ["push", "-q", yield* bare(hosted), "v1.0+1"])
      yield* isGits(hosted, "branches and a tag")
      yield* run(yield* bare(hosted), ["pack-refs", "--all"])
      yield* isGits(hosted, "packed")
      yield* commit(hosted, work, "main")
      yield* isGits(hosted, "packed, and one of them loose and newer")
      yield* run(yield* bare(hosted), ["update-ref", "refs/internal/x", "refs/heads/main"])
      yield* isGits(hosted, "one that is hidden")
      const locked = join(yield* bare(hosted), "refs", "heads", "Upper.lock")
      yield* Effect.sync(() => writeFileSync(locked, ""))
      yield* isGits(hosted, "one that is being written")
      yield* run(yield* bare(hosted), ["update-ref", "-d", "refs/heads/main"])
      yield* isGits(hosted, "one deleted")
    })
  )

  it.effect("is left to git when refs are not plain", () =>
    Effect.gen(function* () {
      const hosted = yield* repository
      const work = yield* files({ a: "1" })
      const sha = yield* commit(hosted, work, "main")
      const repo = yield* bare(hosted)
      yield* run(repo, ["symbolic-ref", "refs/heads/other", "refs/heads/main"])
      yield* comesFromGit(hosted, "a symbolic ref")
      yield* run(repo, ["symbolic-ref", "-d", "refs/heads/other"])
      yield* run(repo, ["update-ref", "refs/notes/commits", sha])
      yield* comesFromGit(hosted, "notes")
      yield* run(repo, ["update-ref", "-d", "refs/notes/commits"])
      yield* run(repo, ["update-ref", "refs/tags/größe", sha])
      yield* comesFromGit(hosted, "a name that is not ASCII")
      yield* run(repo, ["update-ref", "-d", "refs/tags/größe"])
      const many = Array.from({ length: 100 }, (_, n) => `create refs/tags/t${n} ${sha}\n`).join("")
      yield* run(repo, ["update-ref", "--stdin"], { input: many })
      yield* comesFromGit(hosted, "many")
      yield* run(repo, ["pack-refs", "--all"])
      yield* isGits(hosted, "many, packed")
    })
  )

  it.effect("is no answer for those who may only read, or for a repository that is not there", () =>
    Effect.gen(function* () {
      const hosted = yield* repository
      const { status } = yield* ask(hosted, { access: "read" })
      assert.strictEqual(status, 403)
      assert.strictEqual(yield* codeOf(ask(nextRepository(), {})), "repository_missing")
    })
  )

  it.effect("of a fetch in version 2 says what git can do, and starts no git", () =>
    Effect.gen(function* () {
      const started = yield* Started
      const hosted = yield* repository
      const before = started()
      const query = "service=git-upload-pack"
      const { text } = yield* ask(hosted, { access: "read", query, protocol: "version=2" })
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

const both = Effect.fnUntraced(function* (hosted: Repository) {
  const started = yield* Started
  const before = started()
  const ours = yield* ask(hosted, {})
  const starts = started() - before
  return { ours, gits: yield* ask(hosted, { protocol: "version=0" }), starts }
})

const isGits = Effect.fnUntraced(function* (hosted: Repository, what: string) {
  const { ours, gits, starts } = yield* both(hosted)
  assert.deepStrictEqual(ours, gits, what)
  assert.strictEqual(starts, 0, what)
})

const comesFromGit = Effect.fnUntraced(function* (hosted: Repository, what: string) {
  const { ours, gits, starts } = yield* both(hosted)
  assert.deepStrictEqual(ours, gits, what)
  assert.strictEqual(starts, 1, what)
})
