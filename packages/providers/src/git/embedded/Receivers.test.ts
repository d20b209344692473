/** Every start of a git that is to receive a push leaves its process id in a file. */
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Git } from "@deploy-mcp/domain/Git"
import type { Repository } from "@deploy-mcp/domain/model/Service"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Stream } from "effect"
import {
  ask,
  bare,
  commit,
  emptyPush,
  files,
  folder,
  main,
  providerAt,
  repository,
  run
} from "./GitEmbedded.world.ts"

const gitThatCounts = (place: string) => {
  const real = execFileSync("which", ["git"], { encoding: "utf8" }).trim()
  const log = join(place, "received")
  mkdirSync(join(place, "bin"))
  const script = `#!/bin/sh
[ "$1" = receive-pack ] && echo $$ >> "${log}"
exec "${real}" "$@"
`
  writeFileSync(join(place, "bin", "git"), script)
  chmodSync(join(place, "bin", "git"), 0o755)
  return {
    path: `${join(place, "bin")}:${process.env.PATH}`,
    pids: () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n").map(Number) : [])
  }
}

const push = (hosted: Repository, sha: string) =>
  Effect.map(
    ask(hosted, {
      method: "POST",
      path: "/git-receive-pack",
      query: "",
      contentType: "application/x-git-receive-pack-request",
      body: Stream.make(emptyPush(sha))
    }),
    ({ text }) => text
  )

const until = (what: () => boolean) =>
  Effect.sync(what).pipe(
    Effect.filterOrFail((is) => is),
    Effect.retry(Schedule.spaced("5 millis")),
    Effect.timeout("20 seconds")
  )

const isThere = (pid: number) => existsSync(`/proc/${pid}`)

/** A repository whose main branch is gone, while its commit is there to be pushed again. */
const withCommit = Effect.gen(function* () {
  const hosted = yield* repository
  const sha = yield* commit(hosted, yield* files({ a: "1" }), "elsewhere")
  yield* run(yield* bare(hosted), ["update-ref", "-d", "refs/heads/elsewhere"])
  return { hosted, sha }
})

const world = Effect.gen(function* () {
  const place = yield* folder
  const { path, pids } = gitThatCounts(place)
  return { pids, provider: providerAt(join(place, "git"), { path }) }
})

describe("the git that receives a push", () => {
  it.live("is started after the first answer, and is the only one", () =>
    Effect.gen(function* () {
      const { pids, provider } = yield* world
      yield* Effect.gen(function* () {
        const { hosted, sha } = yield* withCommit
        const before = pids().length
        yield* ask(hosted, {})
        yield* until(() => pids().length === before + 1)
        const report = yield* push(hosted, sha)
        assert.include(report, "ok refs/heads/main")
        assert.strictEqual(yield* Git.use((git) => git.head(hosted, main)), sha)
        assert.lengthOf(pids(), before + 1)
      }).pipe(Effect.provide(provider))
    }).pipe(Effect.scoped)
  )

  it.live("is another one when it was killed, or for a push that nobody announced", () =>
    Effect.gen(function* () {
      const { pids, provider } = yield* world
      yield* Effect.gen(function* () {
        const { hosted, sha } = yield* withCommit
        const before = pids().length
        yield* ask(hosted, {})
        yield* until(() => pids().length === before + 1)
        const [pid = 0] = pids().slice(-1)
        process.kill(pid, "SIGKILL")
        yield* until(() => !isThere(pid))
        assert.include(yield* push(hosted, sha), "ok refs/heads/main")
        const other = yield* withCommit
        assert.include(yield* push(other.hosted, other.sha), "ok refs/heads/main")
      }).pipe(Effect.provide(provider))
    }).pipe(Effect.scoped)
  )

  it.live("ends when nothing is pushed, and with the platform", () =>
    Effect.gen(function* () {
      const { pids, provider } = yield* world
      yield* Effect.gen(function* () {
        const { hosted } = yield* withCommit
        yield* ask(hosted, {})
        yield* until(() => pids().length > 0)
        yield* until(() => !pids().some(isThere))
        yield* ask(hosted, {})
        yield* until(() => pids().some(isThere))
      }).pipe(Effect.provide(provider))
      yield* until(() => !pids().some(isThere))
    }).pipe(Effect.scoped)
  )
})
