import { mkdir, readdir, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { failureOf } from "@deploy-mcp/domain/Fault"
import { Git, type RefUpdate } from "@deploy-mcp/domain/Git"
import { BranchName } from "@deploy-mcp/domain/model/Names"
import type { Repository } from "@deploy-mcp/domain/model/Service"
import * as Provider from "@deploy-mcp/domain/Provider"
import { assert, describe, it, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Schedule, Scope, Stream } from "effect"
import {
  bare,
  codeOf,
  commit,
  emptyPush,
  files,
  folder,
  main,
  nextRepository,
  provider,
  providerAt,
  repository,
  run
} from "./GitEmbedded.world.ts"
import { hooks } from "./Hooks.ts"

layer(provider({}), { excludeTestServices: true })("repositories and branches", (it) => {
  it.effect("a repository is made once, also by two at a time, and removed for good", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const hosted = nextRepository()
      yield* Effect.all([git.ensureRepository(hosted), git.ensureRepository(hosted)], {
        concurrency: 2
      })
      const sha = yield* commit(hosted, yield* files({ a: "1" }), "main")
      yield* git.ensureRepository(hosted)
      assert.strictEqual(yield* git.head(hosted, main), sha)
      yield* git.removeRepository(hosted)
      assert.isNull(yield* git.head(hosted, main))
      assert.deepStrictEqual(yield* git.branches(hosted), [])
      yield* git.removeRepository(hosted)
      const { directory } = yield* Provider.Host
      const left = yield* Effect.promise(() => readdir(join(directory, ".server", "tmp")))
      assert.deepStrictEqual(left, [])
    })
  )

  it.effect("heads are the same loose, packed and both", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const hosted = yield* repository
      const work = yield* files({ a: "1" })
      const deep = BranchName.make("main-2/deep")
      const one = yield* commit(hosted, work, "main")
      yield* run(work, ["push", "-q", yield* bare(hosted), `HEAD:refs/heads/${deep}`])
      yield* run(yield* bare(hosted), ["pack-refs", "--all"])
      assert.strictEqual(yield* git.head(hosted, main), one)
      assert.strictEqual(yield* git.head(hosted, deep), one)
      assert.isNull(yield* git.head(hosted, BranchName.make("main-2")))
      assert.isNull(yield* git.head(hosted, BranchName.make("deep")))
      yield* Effect.promise(() => writeFile(join(work, "a"), "2"))
      const two = yield* commit(hosted, work, deep, "2030-01-01T00:00:00Z")
      assert.strictEqual(yield* git.head(hosted, deep), two)
      assert.deepStrictEqual(yield* git.branches(hosted), [
        { branch: deep, commit: two },
        { branch: main, commit: one }
      ])
    })
  )

  it.effect("a push that is cut off after its refs have moved is told all the same", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const hosted = yield* repository
      const { directory } = yield* Provider.Host
      const hook = join(directory, ".server", "hooks", "post-receive")
      yield* Effect.promise(() => writeFile(hook, "#!/bin/sh\nexec sleep 60\n"))
      const work = yield* files({ a: "1" })
      const sha = yield* commit(hosted, work, "elsewhere")
      yield* run(yield* bare(hosted), ["update-ref", "-d", "refs/heads/elsewhere"])
      const told = yield* Deferred.make<ReadonlyArray<RefUpdate>>()
      const scope = yield* Scope.make()
      yield* git
        .exchange({
          repository: hosted,
          access: "write",
          method: "POST",
          path: "/git-receive-pack",
          query: "",
          contentType: "application/x-git-receive-pack-request",
          contentEncoding: undefined,
          protocol: undefined,
          body: Stream.make(emptyPush(sha)),
          pushed: (updates) =>
            Stream.fromEffectDrain(Effect.asVoid(Deferred.succeed(told, updates)))
        })
        .pipe(
          Effect.flatMap((reply) => Stream.runDrain(reply.body)),
          Effect.provideService(Scope.Scope, scope),
          Effect.forkChild
        )
      yield* git.head(hosted, main).pipe(
        Effect.filterOrFail((head) => head === sha),
        Effect.retry(Schedule.spaced("5 millis")),
        Effect.timeout("20 seconds")
      )
      assert.isFalse(yield* Deferred.isDone(told))
      yield* Scope.close(scope, Exit.fail("gone"))
      assert.deepStrictEqual(yield* Deferred.await(told), [{ branch: main, to: sha }])
      yield* Effect.promise(() => writeFile(hook, hooks["post-receive"] ?? ""))
    })
  )

  it.effect("an exchange that is not allowed never starts git", () =>
    Effect.gen(function* () {
      const git = yield* Git
      const hosted = yield* repository
      const ask = (path: string, repository: Repository) =>
        git
          .exchange({
            repository,
            access: "read",
            method: "POST",
            path,
            query: "",
            contentType: undefined,
            contentEncoding: undefined,
            protocol: undefined,
            body: Stream.empty,
            pushed: () => Stream.empty
          })
          .pipe(Effect.scoped, codeOf)
      assert.strictEqual(yield* ask("/HEAD", hosted), "not_found")
      assert.strictEqual(yield* ask("/git-receive-pack", hosted), "forbidden")
      assert.strictEqual(yield* ask("/git-upload-pack", nextRepository()), "repository_missing")
    })
  )
})

layer(provider({ max_push_bytes: 10_000 }), { excludeTestServices: true })(
  "a push without end",
  (it) => {
    it.effect("is cut off at twice the limit", () =>
      Effect.gen(function* () {
        const git = yield* Git
        const hosted = yield* repository
        let sent = 0
        const endless = Stream.forever(
          Stream.sync(() => {
            sent += 1_000
            return new Uint8Array(1_000)
          })
        )
        const error = yield* git
          .exchange({
            repository: hosted,
            access: "write",
            method: "POST",
            path: "/git-receive-pack",
            query: "",
            contentType: "application/x-git-receive-pack-request",
            contentEncoding: undefined,
            protocol: undefined,
            body: Stream.concat(Stream.make(emptyPush("1".repeat(40)).subarray(0, -32)), endless),
            pushed: () => Stream.empty
          })
          .pipe(
            Effect.flatMap((reply) => Stream.runDrain(reply.body)),
            Effect.scoped,
            codeOf
          )
        assert.strictEqual(error, "source_too_large")
        assert.isAtMost(sent, 21_000)
      })
    )
  }
)

describe("start", () => {
  it.live("what killed pushes and full disks left is swept when it is old, and only then", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const hosted = nextRepository()
      const started = Effect.provide(Git, providerAt(directory, {}))
      yield* Effect.flatMap(started, (git) => git.ensureRepository(hosted)).pipe(Effect.scoped)
      const repo = join(directory, `${hosted.id}.git`)
      const hourAgo = new Date("2020-01-01")
      const leftovers = (which: string) => [
        `objects/tmp_objdir-incoming-${which}`,
        `objects/pack/tmp_pack_${which}`,
        `fast_import_crash_${which}`,
        `refs/heads/${which}.lock`
      ]
      const [old, young] = [leftovers("old"), leftovers("new")]
      yield* Effect.promise(async () => {
        for (const name of [...old, ...young]) await mkdir(join(repo, name))
        for (const name of old) await utimes(join(repo, name), hourAgo, hourAgo)
      })
      yield* Effect.gen(function* () {
        yield* Git
        yield* Effect.promise(() => readdir(repo, { recursive: true })).pipe(
          Effect.filterOrFail((names) => !old.some((name) => names.includes(name))),
          Effect.retry(Schedule.spaced("5 millis")),
          Effect.timeout("20 seconds")
        )
        const names = yield* Effect.promise(() => readdir(repo, { recursive: true }))
        assert.isTrue(young.every((name) => names.includes(name)))
      }).pipe(Effect.provide(providerAt(directory, {})))
    }).pipe(Effect.scoped)
  )

  it.live("without git every call says so", () =>
    Effect.gen(function* () {
      const error = yield* Git.use((git) => git.ensureRepository(nextRepository())).pipe(
        Effect.provide(providerAt(yield* folder, { path: "/nowhere" })),
        Effect.flip
      )
      assert.isTrue(error.isRetryable)
      assert.match(failureOf(error.reason).cause, /git is not installed/)
    }).pipe(Effect.scoped)
  )
})
