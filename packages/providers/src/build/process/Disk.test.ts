/** What builds may write while they run, and what becomes of caches. */
import { execFileSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { OwnerId } from "@deploy-mcp/domain/model/Ids"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { failure } from "../detection/DetectionBench.ts"
import { assertTidy, isRoot, makeBench, owner } from "./BuildBench.ts"
import * as Caches from "./Caches.ts"
import { withinDisk } from "./StepDisk.ts"

const mebibyte = 1024 ** 2

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "build-disk-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("a step that writes too much", () => {
  for (const [what, place] of [
    ["into its folder", "."],
    ["into the owner's cache", '"$npm_config_cache"']
  ] as const) {
    it.live(`${what} is ended with all it started`, () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ scratchLimit: 16 * mebibyte })
        // What the cache has at first is nobody's fault.
        const write = `sleep 2; head -c 33554432 /dev/zero > ${place}/big; sleep 600`
        const found = yield* failure(bench.run({ "index.js": "" }, { build_command: write }))
        assert.strictEqual(found.code, "output_too_large")
        assert.match(
          found.cause,
          /^A step had written 3\d MiB when it was ended; a build may write 16 MiB\.$/u
        )
        assert.include(found.next, "scratch_limit")
        assertTidy(bench)
      })
    )
  }

  it.live("is not what fills a cache that is full already", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench({ scratchLimit: 16 * mebibyte })
      const fill = 'head -c 33554432 /dev/zero > "$npm_config_cache/big"'
      yield* bench.run({ "index.js": "" }, { key: 1, build_command: fill })
      yield* bench.run({ "index.js": "" }, { key: 2, build_command: "sleep 2.5" })
      assertTidy(bench)
    })
  )

  it.live.skipIf(!isRoot)("is ended before the disk is full, whatever hides its files", () =>
    Effect.gen(function* () {
      const disk = yield* Effect.acquireRelease(
        Effect.map(folder, (path) => {
          execFileSync("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", path])
          return path
        }),
        (path) => Effect.sync(() => void execFileSync("umount", [path]))
      )
      const step = Effect.sync(() => {
        writeFileSync(join(disk, "big"), Buffer.alloc(30 * mebibyte))
      }).pipe(Effect.andThen(Effect.never))
      const places = { work: disk, cache: disk, limit: 1024 * mebibyte }
      const found = yield* failure(withinDisk(places, Effect.delay(step, "100 millis")))
      assert.strictEqual(found.code, "disk_full")
      assert.strictEqual(found.cause, "While a step ran, the disk went from 32 to 2 MiB free.")
    })
  )
})

describe("a cache", () => {
  const day = 86_400_000
  const limits = { bytes: mebibyte, age: 30 * day }
  const other = OwnerId.make(`own_${"b".repeat(20)}`)

  const world = Effect.map(folder, (home) => {
    const [all, work] = [join(home, "caches"), join(home, "work")]
    for (const path of [all, work]) mkdirSync(path)
    return { all, work, caches: Caches.make(all, work, limits) }
  })
  /** One build that leaves so many MiB there. */
  const build = (caches: Caches.Caches, of: OwnerId, size: number) =>
    Effect.scoped(
      Effect.map(caches.of(of), (path) => {
        mkdirSync(path, { recursive: true })
        writeFileSync(join(path, `${size}`), Buffer.alloc(size * mebibyte))
        return path
      })
    )

  it.live("that is too large is removed as a whole, and those of others are not", () =>
    Effect.gen(function* () {
      const { all, caches, work } = yield* world
      const small = yield* build(caches, other, 0)
      yield* build(caches, owner, 0)
      yield* caches.sweep
      const large = yield* build(caches, owner, 2)
      assert.sameMembers(readdirSync(large), ["0", "2"])
      yield* caches.sweep
      assert.isFalse(existsSync(large))
      assert.isTrue(existsSync(small))
      assert.lengthOf(readdirSync(all), 1)
      assert.deepStrictEqual(readdirSync(work), [])
    })
  )

  it.live("stays while a build uses it", () =>
    Effect.gen(function* () {
      const { caches } = yield* world
      const path = yield* build(caches, owner, 2)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* caches.of(owner)
          yield* build(caches, owner, 2)
          yield* caches.sweep
          assert.sameMembers(readdirSync(path), ["2"])
        })
      )
      yield* caches.sweep
      assert.isFalse(existsSync(path))
    })
  )

  it.live("that nobody has used for long is removed", () =>
    Effect.gen(function* () {
      const { caches } = yield* world
      const [old, young] = [yield* build(caches, owner, 0), yield* build(caches, other, 0)]
      const then = ((yield* Clock.currentTimeMillis) - 31 * day) / 1000
      utimesSync(old, then, then)
      yield* caches.sweep
      assert.isFalse(existsSync(old))
      assert.isTrue(existsSync(young))
      utimesSync(young, then, then)
      yield* build(caches, other, 0)
      yield* caches.sweep
      assert.isTrue(existsSync(young), "a build that uses it makes it young again")
    })
  )
})
