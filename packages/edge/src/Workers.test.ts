import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { LogLine } from "@deploy-mcp/domain/model/LogLine"
import type { StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { assert, describe, it, onTestFinished } from "vitest"
import {
  type Control,
  eventually,
  idOf,
  is,
  processRelease,
  stageOf,
  startHarness,
  staticRelease
} from "./testing/EdgeHarness.ts"

const setUp = async () => {
  const harness = await startHarness()
  onTestFinished(harness.close)
  const { nodeKey } = await harness.control.hello(1)
  const release = (
    number: number,
    workers: Record<string, string> = { worker: "node SampleWorker.mjs" },
    variables: Record<string, string> = {}
  ) => withWorkers(processRelease(nodeKey, number, variables), workers)
  return { harness, release, ...harness }
}

type Listed = StageSpec["releases"][number]

const withWorkers = async (
  made: Promise<Listed>,
  workers: Record<string, string>
): Promise<Listed> => {
  const { release, workload } = await made
  return workload.kind === "process"
    ? { release, workload: { ...workload, workers } }
    : { release, workload }
}

describe("workers", () => {
  it("start when their release is routed to, and say their name in the log", async () => {
    const { control, processes, release } = await setUp()
    const one = await release(1)
    await control.snapshot(stageOf(1, [one], null))
    await control.state(one.release, "healthy")
    assert.deepEqual(processes.working(), [])

    await control.put(stageOf(2, [one], 1))
    await control.logLine(idOf("stg", 1), "v1 works with PORT unset")
    assert.strictEqual(processes.working().length, 1)
    const lines = await readLog(control)
    assert.deepEqual(
      lines.map(({ process, text }) => [process, text]),
      [
        [undefined, "v1 is listening"],
        ["worker", "v1 works with PORT unset"]
      ]
    )
  })

  it("never run for two releases at once: the old ones end before the new ones start", async () => {
    const { control, get, home, processes, release } = await setUp()
    const mayEnd = join(home, "may-end")
    const one = await release(1, undefined, { MAY_END: mayEnd })
    const two = await release(2)
    await control.snapshot(stageOf(1, [one], 1))
    await control.logLine(idOf("stg", 1), "v1 works with PORT unset")
    await control.put(stageOf(2, [one, two], 1))
    await control.state(two.release, "healthy")
    assert.strictEqual(processes.working().length, 1)
    await control.put(stageOf(3, [two], 2))
    await control.logLine(idOf("stg", 1), "v1 is asked to end")
    assert.strictEqual(processes.working().length, 1)
    assert.strictEqual((await get("/")).text, "v2")
    await writeFile(mayEnd, "")
    await control.logLine(idOf("stg", 1), "v2 works with PORT unset")
    const lines = (await readLog(control)).filter(({ process }) => process === "worker")
    assert.deepEqual(
      lines.map(({ text }) => text),
      ["v1 works with PORT unset", "v1 is asked to end", "v1 has ended", "v2 works with PORT unset"]
    )
    assert.strictEqual(processes.working().length, 1)
  })

  it("run for the last one of three routes that move while the first ones still end", async () => {
    const { control, home, processes, release } = await setUp()
    const mayEnd = join(home, "may-end")
    const one = await release(1, undefined, { MAY_END: mayEnd })
    const two = await release(2)
    await control.snapshot(stageOf(1, [one, two], 1))
    await control.logLine(idOf("stg", 1), "v1 works with PORT unset")
    await control.state(two.release, "healthy")
    const [first] = processes.working()
    await control.put(stageOf(2, [one, two], 2))
    await control.put(stageOf(3, [one, two], 1))
    assert.deepEqual(processes.working(), first === undefined ? [] : [first])
    await writeFile(mayEnd, "")
    await eventually(
      "another worker runs, and no other",
      () => processes.working().length === 1 && processes.working()[0] !== first
    )
    await control.put(stageOf(4, [one], 1))
    await control.state(two.release, "stopped")
    const told = (await readLog(control)).map(({ text }) => text)
    assert.notInclude(told, "v2 works with PORT unset")
  })

  it("come back by themselves without a word about the release, which goes on answering", async () => {
    const { control, get, processes, release } = await setUp()
    const one = await release(1, { worker: "node SampleWorker.mjs", clock: "sleep 600" })
    await control.snapshot(stageOf(1, [one], 1))
    await eventually("both work", () => processes.working().length === 2)
    await control.logLine(idOf("stg", 1), "v1 works with PORT unset")
    const before = processes.alive()
    const seen = control.received.length
    process.kill(processes.working()[0] ?? 0, "SIGUSR2")
    await eventually(
      "two again, one of them new",
      () =>
        processes.working().length === 2 &&
        processes.alive().filter((pid) => !before.includes(pid)).length === 1
    )
    assert.strictEqual((await get("/")).text, "v1")
    assert.notExists(control.received.slice(seen).find(is("release")))
  })

  it("come back after a restart of the edge, and go with their service", async () => {
    const { control, harness, processes, release } = await setUp()
    const one = await release(1)
    await control.snapshot(stageOf(1, [one], 1))
    await control.logLine(idOf("stg", 1), "v1 works with PORT unset")
    const [before] = processes.working()
    await harness.restart()
    await eventually("a new one works", () => processes.working().length === 1)
    assert.notStrictEqual(processes.working()[0], before)
    await harness.control.hello(1)
    harness.control.send({
      type: "delta",
      epoch: 1,
      revision: 2,
      put: [],
      remove: [{ stage: idOf("stg", 1), generation: 2 }]
    })
    await eventually("nothing runs", () => processes.alive().length === 0)
  })

  it("end when the next release has none", async () => {
    const { control, processes, release } = await setUp()
    await control.snapshot(stageOf(1, [await release(1)], 1))
    await control.logLine(idOf("stg", 1), "v1 works with PORT unset")
    await control.put(stageOf(2, [staticRelease(2, import.meta.dirname)], 2))
    await eventually("nothing runs", () => processes.alive().length === 0)
  })
})

/** All lines of the one stage so far. */
const readLog = async (control: Control): Promise<ReadonlyArray<LogLine>> => {
  control.send({
    type: "logs",
    id: 1,
    stage: idOf("stg", 1),
    after: null,
    tail: 100,
    follow: false
  })
  const { lines } = await control.until(
    "the log",
    is("lines", ({ id, lines }) => id === 1 && lines.length > 0)
  )
  return lines
}
