import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as LogsConformance from "@deploy-mcp/domain/conformance/LogsConformance"
import { fullLine, LogName, Logs } from "@deploy-mcp/domain/Logs"
import { Host } from "@deploy-mcp/domain/Provider"
import { assert, layer as withLayer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { LogsEmbedded } from "./LogsEmbedded.ts"

const hostAt = (directory: string) => ({
  directory,
  artifacts: directory,
  node: { bin: "", version: "" }
})

const world = Layer.effect(
  Host,
  Effect.acquireRelease(
    Effect.sync(() => hostAt(mkdtempSync(join(tmpdir(), "logs-")))),
    ({ directory }) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
)
const maxBytes = 100_000
const provider = LogsEmbedded.make({ maxBytes })

LogsConformance.suite("embedded", provider, {
  world,
  maxBytes,
  broken: {
    // A file where the folder should be.
    layer: Layer.provide(provider, Layer.succeed(Host, hostAt("/dev/null"))),
    secrets: ["a line with a secret in it"]
  }
})

const log = (id: string) => LogName.make(`deployments/${id}`)
const append = (id: string, text: string) =>
  Logs.use((logs) => logs.append(log(id), [{ stream: "stdout", text }]))
const read = (id: string) =>
  Logs.use((logs) => logs.read({ log: log(id), after: null, tail: 100 })).pipe(
    Effect.map(({ lines }) => lines.map(({ seq, text }) => [seq, text]))
  )
const fileOf = (id: string) =>
  Host.useSync(({ directory }) => join(directory, "deployments", `${id}.ndjson`))

withLayer(Layer.provideMerge(provider, world))("embedded logs", (it) => {
  it.effect("are files of JSON lines that only their owner reads", () =>
    Effect.gen(function* () {
      yield* append("dep_plain", "hello")
      const file = yield* fileOf("dep_plain")
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), {
        seq: 1,
        at: 0,
        stream: "stdout",
        text: "hello"
      })
    })
  )

  it.effect("go on after a line that was cut off in the middle of its write", () =>
    Effect.gen(function* () {
      yield* append("dep_torn", "whole")
      appendFileSync(yield* fileOf("dep_torn"), '{"seq":2,"at":0,"str')
      assert.deepEqual(yield* read("dep_torn"), [[1, "whole"]])
      yield* append("dep_torn", "next")
      assert.deepEqual(yield* read("dep_torn"), [
        [1, "whole"],
        [2, "next"]
      ])
    })
  )

  it.effect("leave out what is no line and keep the positions of the others", () =>
    Effect.gen(function* () {
      for (const text of ["one", "two", "three"]) yield* append("dep_damaged", text)
      const file = yield* fileOf("dep_damaged")
      writeFileSync(file, readFileSync(file, "utf8").replace(/^.*two.*$/mu, "\u0000\u0000"))
      yield* append("dep_damaged", "four")
      assert.deepEqual(yield* read("dep_damaged"), [
        [1, "one"],
        [3, "three"],
        [4, "four"]
      ])
    })
  )

  it.effect("begin again when somebody removed the file by hand", () =>
    Effect.gen(function* () {
      yield* append("dep_gone", "old")
      rmSync(yield* fileOf("dep_gone"))
      yield* append("dep_gone", "new")
      assert.deepEqual(yield* read("dep_gone"), [[1, "new"]])
    })
  )

  it.effect("never grow past their bound by more than the line that says so", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 300; n++) yield* append("dep_full", "y".repeat(500))
      const file = yield* fileOf("dep_full")
      assert.include(readFileSync(file, "utf8"), fullLine.text)
      assert.isAtMost(statSync(file).size, maxBytes + 200)
    })
  )
})
