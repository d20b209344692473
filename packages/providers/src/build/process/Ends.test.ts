/** How builds end: together, too late, interrupted, killed. */
import { spawn } from "node:child_process"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { failure, serviceSettings } from "../detection/DetectionBench.ts"
import { assertTidy, type Bench, keyOf, makeBench, project } from "./BuildBench.ts"

describe("ends", () => {
  it.live("one key is built once, whoever asks at the same time", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const options = { build_command: "echo built; sleep 0.2" }
      const all = yield* Effect.all(
        [1, 2, 3].map(() => bench.run({ "index.js": "" }, options)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(bench.log.filter((text) => text === "stdout built").length, 1)
      for (const artifact of all) assert.deepStrictEqual(artifact, all[0])
    })
  )

  it.live("two processes that build one key end with one artifact", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const other = yield* bench.again
      const settings = serviceSettings({ build_command: "sleep 0.2" })
      const one = (build: Bench["build"]) =>
        Effect.suspend(() => {
          const source = bench.source({ "index.js": "" })
          return build
            .plan(source, settings)
            .pipe(
              Effect.flatMap((plan) => build.artifact({ ...bench.request(source, plan), settings }))
            )
        })
      const [a, b] = yield* Effect.all([one(bench.build), one(other)], { concurrency: 2 })
      assert.deepStrictEqual(a, b)
      assert.deepStrictEqual(yield* other.find(keyOf(1)), a)
      assertTidy(bench)
    })
  )

  for (const plain of [false, true]) {
    const where = plain ? "without bubblewrap" : "as the machine allows"
    it.live(`a step that takes too long ends with all it started, ${where}`, () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ stepTimeout: Duration.seconds(3) }, { plain, open: true })
        const mark = `8${process.pid}${plain ? 1 : 0}`
        const found = yield* failure(
          bench.run({ "index.js": "" }, { build_command: escaping(mark) })
        )
        assert.strictEqual(found.code, "build_timed_out")
        assert.include(found.evidence, "started")
        assert.deepStrictEqual(sleeping(mark), [])
        assertTidy(bench)
      })
    )

    it.live(`an interruption ends all that was started, ${where}`, () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({}, { plain, open: true })
        const mark = `9${process.pid}${plain ? 1 : 0}`
        const build = bench.run({ "index.js": "" }, { build_command: escaping(mark) })
        const fiber = yield* Effect.forkChild(build)
        while (!bench.log.includes("stdout started")) yield* Effect.sleep("10 millis")
        assert.isAbove(sleeping(mark).length, 0)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(sleeping(mark), [])
        assertTidy(bench)
        assert.isNull(yield* bench.build.find(keyOf(1)))
      })
    )
  }

  it.live("an interruption at any moment leaves a whole artifact or none", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      for (let n = 1; n <= 40; n++) {
        const build = bench.run(project(String(n)), { key: n, build_command: "echo x > made" })
        const fiber = yield* Effect.forkChild(build)
        yield* Effect.sleep(n < 20 ? n * 2 : n * 5)
        yield* Fiber.interrupt(fiber)
        assertTidy(bench)
        const found = yield* bench.build.find(keyOf(n))
        const names = found === null ? [] : readdirSync(found.directory)
        if (found !== null) assert.includeMembers(names, ["made", "index.js", "node_modules"])
      }
    })
  )

  it.live("what a killed process left behind is swept, what a living one has is not", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const work = join(bench.host.directory, "work")
      const start = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1)?.split(" ")[19]
      const living = `${process.pid}.${start}.abcdef`
      const gone = "999999999.1.abcdef"
      for (const name of [gone, living]) writeFileSync(join(work, name), "")
      const orphans = [gone, living].map((name) =>
        spawn("sleep", ["60"], { env: { DEPLOY_MCP_BUILD: name }, stdio: "ignore" })
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => orphans.map((each) => each.kill())))
      const swept = new Promise((resolve) => orphans[0]?.on("exit", (_, signal) => resolve(signal)))
      yield* (yield* bench.again).isolation
      assert.deepStrictEqual(readdirSync(work), [living])
      assert.strictEqual(yield* Effect.promise(() => swept), "SIGKILL")
      assert.isNull(orphans[1]?.signalCode)
    })
  )
})

/** Starts a grandchild in a session of its own that would outlive everything. */
const escaping = (mark: string) =>
  `setsid sleep ${mark} </dev/null >/dev/null 2>&1 & sleep ${mark} & sleep 0.1; echo started; wait`

const sleeping = (mark: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(`sleep\0${mark}\0`)
    } catch {
      return false
    }
  })
