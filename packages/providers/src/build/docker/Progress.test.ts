/** Lines as buildx prints them, and what is passed on of them. */
import { assert, it } from "vitest"
import { type Progress, reader } from "./Progress.ts"

const base64 = (text: string) => Buffer.from(text).toString("base64")
const vertex = (fields: object) => JSON.stringify({ vertexes: [{ digest: "sha256:a", ...fields }] })

it("a step is told when it starts, and once", () => {
  const read = reader()
  assert.deepStrictEqual(read(vertex({ name: "[2/4] RUN x" })), [])
  const started: Progress = { type: "started", name: "[2/4] RUN x", cached: false }
  assert.deepStrictEqual(read(vertex({ started: "now" })), [started])
  assert.deepStrictEqual(read(vertex({ started: "now", completed: "then" })), [])
})

it("a step that was done before says so", () => {
  const [told] = reader()(vertex({ name: "[2/4] RUN x", started: "now", cached: true }))
  assert.deepStrictEqual(told, { type: "started", name: "[2/4] RUN x", cached: true })
})

it("a failure has the name of its step, and is told once", () => {
  const read = reader()
  read(vertex({ name: "[2/4] RUN x", started: "now" }))
  const failed: Progress = { type: "failed", name: "[2/4] RUN x", error: "exit code: 3" }
  assert.deepStrictEqual(read(vertex({ error: "exit code: 3" })), [failed])
  assert.deepStrictEqual(read(vertex({ error: "exit code: 3" })), [])
})

it("output keeps its stream, and a letter that is cut in two is whole again", () => {
  const read = reader()
  const bytes = Buffer.from("für")
  const log = (stream: number, data: Buffer) =>
    read(JSON.stringify({ logs: [{ vertex: "sha256:a", stream, data: data.toString("base64") }] }))
  const texts = [
    log(2, bytes.subarray(0, 2)),
    log(1, Buffer.from("out")),
    log(2, bytes.subarray(2))
  ]
  assert.deepStrictEqual(texts.flat(), [
    { type: "output", stream: "stderr", text: "f" },
    { type: "output", stream: "stdout", text: "out" },
    { type: "output", stream: "stderr", text: "ür" }
  ])
})

it("other lines are what buildx itself says; what is not understood is passed over", () => {
  const read = reader()
  assert.deepStrictEqual(read("ERROR: no"), [{ type: "said", text: "ERROR: no" }])
  assert.deepStrictEqual(read(""), [])
  assert.deepStrictEqual(read("{broken"), [])
  assert.deepStrictEqual(read(JSON.stringify({ warnings: [{ level: 1, data: base64("x") }] })), [])
})
