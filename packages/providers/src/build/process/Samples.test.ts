/** The sample applications, built for real, moved and started: `TEST_SAMPLES=all` takes all of them. */
import { spawn } from "node:child_process"
import { createServer } from "node:net"
import type { Artifact } from "@deploy-mcp/domain/model/Artifact"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { sampleFiles } from "../BuildSamples.ts"
import { failure } from "../detection/DetectionBench.ts"
import { assertTidy, isUsable, makeBench } from "./BuildBench.ts"

interface Sample {
  readonly name: string
  readonly kind: string
  /** Part of what `/` answers. */
  readonly answer: string
  /** Nothing is installed again when only the source has changed. */
  readonly kept: boolean
  /** Not taken by `npm test`, which has another one of its language or pushes it to a platform. */
  readonly more?: true
}

const samples: ReadonlyArray<Sample> = [
  { name: "pnpm", kind: "node", answer: "Hello from pnpm, version 1", kept: true },
  { name: "yarn", kind: "node", answer: "Hello from yarn, version 1", kept: true, more: true },
  { name: "bun", kind: "node", answer: "Hello from bun, version 1", kept: true, more: true },
  { name: "python", kind: "python", answer: "Hello from Flask, version 1", kept: true },
  {
    name: "python-uv",
    kind: "python",
    answer: "Hello from Starlette, version 1",
    kept: true,
    more: true
  },
  { name: "go", kind: "go", answer: "Hello from Go, version 1", kept: false, more: true }
]

const all = process.env.TEST_SAMPLES === "all"

describe("samples", () => {
  for (const sample of samples.filter(({ more }) => all || !more)) {
    it.live(
      `${sample.name} is built, and answers`,
      () =>
        Effect.gen(function* () {
          const bench = yield* makeBench()
          const files = sampleFiles(sample.name)
          if (!(yield* isUsable(sample.kind))) {
            assert.strictEqual((yield* failure(bench.run(files))).code, "toolchain_missing")
            return
          }
          const plan = yield* bench.plan(files)
          assert.strictEqual(plan.kind, sample.kind)
          const artifact = yield* bench.run(files, { key: 1 })
          assert.include(yield* answerOf(artifact), sample.answer)
          const installs = () =>
            bench.log.filter((line) => /^platform \$ .*install/u.test(line)).length
          const before = installs()
          yield* bench.run({ ...files, "notes.txt": "changed" }, { key: 2 })
          if (sample.kept) {
            assert.isAbove(before, 0)
            assert.include(bench.log.at(-1) ?? "", "Dependencies are unchanged")
          }
          assertTidy(bench)
        }),
      180_000
    )
  }
})

/** What the artifact's process says on `/`, started where the artifact lies. */
const answerOf = (artifact: Artifact) =>
  Effect.gen(function* () {
    const { runtime } = artifact
    if (runtime.kind !== "process") return assert.fail("not a process")
    const port = yield* Effect.promise(freePort)
    const path = [...runtime.path, "/usr/local/bin", "/usr/bin", "/bin"].join(":")
    let output = ""
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn("/bin/sh", ["-c", runtime.start], {
          cwd: artifact.directory,
          env: { PATH: path, PORT: String(port), HOST: "127.0.0.1", HOME: "/nonexistent" },
          stdio: ["ignore", "pipe", "pipe"]
        })
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding("utf8").on("data", (text: string) => {
            output += text
          })
        }
        return child
      }),
      (child) =>
        Effect.promise(
          () =>
            new Promise<void>((done) => {
              if (child.exitCode !== null) return done()
              child.on("exit", () => done())
              child.kill("SIGKILL")
            })
        )
    )
    return yield* Effect.tryPromise({
      try: () => fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()),
      catch: () => `it does not answer:\n${output}`
    }).pipe(
      Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 400 }),
      Effect.catch((cause) => Effect.succeed(cause))
    )
  }).pipe(Effect.scoped)

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() =>
        resolve(typeof address === "object" && address !== null ? address.port : 0)
      )
    })
  })
