/** What hostile builds try, as real builds: each finds itself refused, and the machine goes on. */
import { existsSync, readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { failure } from "../detection/DetectionBench.ts"
import { assertTidy, type Bench, hasBubblewrap, isRoot, makeBench } from "./BuildBench.ts"
import { findGroups } from "./BuildGroup.ts"

/** What a build with this command prints to its standard output. */
const printed = (bench: Bench, build_command: string) =>
  bench
    .run({ "index.js": "" }, { build_command })
    .pipe(
      Effect.map(() =>
        bench.log.flatMap((text) => (text.startsWith("stdout ") ? [text.slice(7)] : []))
      )
    )

/** Calls by their number on x64, as nothing but perl makes them without a compiler. */
const calls = { keyctl: 250, ptrace: 101, bpf: 321, io_uring_setup: 425, mount: 165, setns: 308 }
const canCall = process.arch === "x64" && existsSync("/usr/bin/perl")

const hostile = () => {
  it.live("makes none of the calls that reach into the kernel", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const tries = canCall
        ? Object.entries(calls).map(
            ([name, number]) =>
              `perl -e '$r = syscall(${number}, 0, 0, 0, 0, 0); print "${name} ", $r == -1 ? $!+0 : "made", "\\n"'`
          )
        : []
      const found = yield* printed(
        bench,
        ["grep Seccomp: /proc/self/status", "unshare --user true || echo no namespace", ...tries]
          .map((line) => `{ ${line}; }`)
          .join("; ")
      )
      assert.match(found.join("\n"), /^Seccomp:\s+2$/mu)
      assert.include(found, "no namespace")
      if (canCall) {
        const permission = 1
        for (const name of Object.keys(calls)) assert.include(found, `${name} ${permission}`)
      }
    })
  )
}
if (hasBubblewrap) describe("a hostile build", hostile)
else it.skip("a hostile build cannot be tried here")

const groups = isRoot ? await Effect.runPromise(findGroups) : null
const left = () =>
  [...new Set(groups?.roots.values())].flatMap((root) =>
    readdirSync(root).filter((name) => name.startsWith(`deploy-mcp-build-${process.pid}.`))
  )

const greedy = () => {
  it.live("is ended when it takes more memory than it may", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench({ memoryLimit: Option.some(192) })
      const eat = `node -e 'const all = []; for (;;) all.push(Buffer.alloc(2 ** 24, 1))'`
      const found = yield* failure(bench.run({ "index.js": "" }, { build_command: eat }))
      assert.strictEqual(found.code, "build_failed")
      assert.include(found.cause, "192 MiB of memory")
      assert.include(found.next, "memory_limit")
      assert.deepStrictEqual(left(), [])
      assertTidy(bench)
    })
  )

  it.live("finds an end to the processes that it may start", () =>
    Effect.gen(function* () {
      const bench = yield* makeBench()
      const bomb =
        "mkfifo /tmp/never; n=0; while [ $n -lt 5000 ]; do read _ </tmp/never & n=$((n+1)); done; echo all"
      const found = yield* failure(bench.run({ "index.js": "" }, { build_command: bomb }))
      assert.strictEqual(found.code, "build_failed")
      assert.match(found.evidence.join("\n"), /fork|resource/iu)
      assert.notInclude(bench.log, "stdout all")
      assert.deepStrictEqual(left(), [])
      assertTidy(bench)
    })
  )
}
if (hasBubblewrap && groups !== null) describe("a greedy build", greedy)
else it.skip("a greedy build cannot be tried here")
