/** Services on a schedule and workers without a port, on an edge whose clock stands still. */
import { readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { ReleaseSpec, RunObserved, StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { assert, describe, it, onTestFinished } from "vitest"
import {
  type Control,
  eventually,
  idOf,
  is,
  openControl,
  processRelease,
  stageOf,
  startHarness
} from "./testing/EdgeHarness.ts"
import { stepTime } from "./testing/StepTime.ts"

const minute = 60_000
const stage: string = idOf("stg", 1)

const setUp = async () => {
  const time = stepTime("2026-11-28T10:00:10Z")
  const harness = await startHarness({ time })
  onTestFinished(harness.close)
  const { nodeKey } = await harness.control.hello(1)
  const scheduled = async (
    number: number,
    start: string,
    more: { cron?: string; limit?: number } = {}
  ) => {
    const { cron = "* * * * *", limit = 10_000 } = more
    const { release, workload } = await processRelease(nodeKey, number)
    assert(workload.kind === "process")
    return { release, workload: { ...workload, start, schedule: { cron, limit } } }
  }
  const worker = async (number: number): Promise<ReleaseSpec> => {
    const { release, workload } = await processRelease(nodeKey, number)
    assert(workload.kind === "process")
    return { release, workload: { ...workload, start: "node SampleWorker.mjs", listens: false } }
  }
  const web = (number: number) => processRelease(nodeKey, number)
  return { harness, time, scheduled, worker, web }
}

/** Portless ones have no hostname. */
const silent = (generation: number, releases: StageSpec["releases"], route: number | null) =>
  stageOf(generation, releases, route, { hostnames: [] })

const runs = ({ received }: Control): ReadonlyArray<RunObserved> =>
  received.flatMap((message) =>
    message.type === "release" && message.schedule?.last ? [message.schedule.last] : []
  )
const ended = (control: Control, number: number) =>
  eventually(`run ${number} has ended`, () =>
    runs(control).some((run) => run.number === number && run.ended !== null)
  )
const outcomes = (control: Control) =>
  new Map(runs(control).flatMap(({ ended, number }) => (ended ? [[number, ended] as const] : [])))

const log = async (control: Control): Promise<ReadonlyArray<string>> => {
  const id = 7_000 + control.received.length
  control.send({ type: "logs", id, stage: idOf("stg", 1), after: null, tail: 100, follow: false })
  const answer = await control.until(
    "the log",
    is("lines", (lines) => lines.id === id && lines.done)
  )
  const sent = control.received.flatMap((one) =>
    one.type === "lines" && one.id === id ? [one] : []
  )
  return (sent.length > 0 ? sent : [answer])
    .flatMap(({ lines }) => lines)
    .map(({ process, text }) => (process === undefined ? text : `${process} | ${text}`))
}
const times = /after \d+\.\d s/u

describe("a service on a schedule", () => {
  it("is in place without a process, and runs when it is due", async () => {
    const { harness, scheduled, time } = await setUp()
    const { control, processes } = harness
    const one = await scheduled(1, "sh -c 'echo out $NAME $PORT; exit 3'")
    await control.snapshot(silent(1, [one], null))
    await control.state(one.release, "healthy")
    time.step(5 * minute)
    assert.lengthOf(runs(control), 0, "a candidate does not run")
    await control.put(silent(2, [one], 1))
    assert.lengthOf(processes.alive(), 0)
    const seen = await control.until(
      "when it is due",
      is("release", ({ schedule }) => schedule !== undefined)
    )
    assert.deepStrictEqual(seen.schedule, { next: Date.parse("2026-11-28T10:06Z"), last: null })
    time.step(49_000)
    assert.lengthOf(runs(control), 0, "a second before it is due")
    time.step(1_000)
    await ended(control, 1)
    assert.deepStrictEqual(
      [...outcomes(control).values()].map(({ code, outcome }) => [outcome, code]),
      [["failed", 3]]
    )
    time.step(minute)
    await ended(control, 2)
    const lines = (await log(control)).map((line) => line.replace(times, "after a while"))
    assert.deepStrictEqual(lines.slice(0, 3), [
      "schedule | run 1 started",
      "out v1",
      "schedule | run 1 ended with 3 after a while"
    ])
    const metrics = control.until("counts", is("metrics"))
    control.send({ type: "metrics", id: 1 })
    assert.deepStrictEqual((await metrics).stages[0]?.runs, { failed: 2 })
  })

  it("leaves a due run out while another one goes on, and ends one that takes too long", async () => {
    const { harness, scheduled, time } = await setUp()
    const { control, processes } = harness
    await control.snapshot(silent(1, [await scheduled(1, "sleep 60", { limit: 300 })], 1))
    await control.state(idOf("rel", 1), "healthy")
    time.step(minute)
    await eventually("it runs", () => processes.alive().length === 1)
    time.step(minute)
    await ended(control, 1)
    assert.strictEqual(outcomes(control).get(1)?.outcome, "timed_out")
    assert.lengthOf(processes.alive(), 0)
    const lines = await log(control)
    assert.include(lines, "schedule | the run due at 2026-11-28 10:02 is left out: run 1 goes on")
    assert.isTrue(lines.some((line) => line.startsWith("schedule | run 1 was stopped after")))
    assert.isFalse(runs(control).some(({ number }) => number === 2))
  })

  it("lets a run of the release before end, and starts none beside it", async () => {
    const { harness, scheduled, time } = await setUp()
    const { control, home, processes } = harness
    const gate = join(home, "gate")
    const waits = `sh -c 'while ! test -e ${gate}; do sleep 0.02; done; echo old is done'`
    const [old, young] = [await scheduled(1, waits), await scheduled(2, "echo new")]
    await control.snapshot(silent(1, [old], 1))
    await control.state(old.release, "healthy")
    time.step(minute)
    await eventually("it runs", () => processes.alive().length === 1)
    await control.put(silent(2, [young], 2))
    await control.state(old.release, "stopped")
    time.step(minute)
    assert.lengthOf(processes.alive(), 1, "the old run alone")
    await writeFile(gate, "")
    await ended(control, 1)
    assert.strictEqual(outcomes(control).get(1)?.outcome, "succeeded")
    time.step(minute)
    await ended(control, 2)
    const lines = await log(control)
    assert.includeMembers([...lines], ["old is done", "new"])
  })

  it("is stopped when its service goes", async () => {
    const { harness, scheduled, time } = await setUp()
    const { control, home, processes } = harness
    await control.snapshot(silent(1, [await scheduled(1, "sleep 60")], 1))
    await control.state(idOf("rel", 1), "healthy")
    time.step(minute)
    await eventually("it runs", () => processes.alive().length === 1)
    await control.snapshot()
    await eventually("it ends", () => processes.alive().length === 0)
    time.step(10 * minute)
    assert.lengthOf(processes.alive(), 0)
    await eventually(
      "nothing is kept",
      async () => (await readdir(join(home, "edge/runs"))).length === 0
    )
  })

  it("fires without control, and makes up once for what an absent edge has missed", async () => {
    const { harness, scheduled, time } = await setUp()
    await harness.control.snapshot(
      silent(1, [await scheduled(1, "echo ran", { cron: "0 * * * *" })], 1)
    )
    await harness.control.state(idOf("rel", 1), "healthy")
    harness.control.close()
    time.step(60 * minute)
    await eventually("its end is kept", async () => {
      const file = join(harness.home, "edge/runs", `${stage}.json`)
      return /"outcome":"succeeded"/u.test(await readFile(file, "utf8").catch(() => ""))
    })
    await harness.edge.close()
    time.step(5 * 60 * minute)
    harness.edge = await harness.startEdge()
    harness.control = await openControl(harness.home, "deploy")
    await harness.control.hello(2)
    await ended(harness.control, 2)
    const lines = await log(harness.control)
    assert.include(lines, "schedule | run 2 is late: it was due at 2026-11-28 12:00")
    assert.strictEqual(lines.filter((line) => line === "ran").length, 2)
    assert.isFalse(
      runs(harness.control).some(({ number }) => number > 2),
      "five hours are one run"
    )
  })

  it("does not make up for what another schedule would have had", async () => {
    const { harness, scheduled, time } = await setUp()
    const { control } = harness
    await control.snapshot(silent(1, [await scheduled(1, "echo a", { cron: "0 0 1 1 *" })], 1))
    await control.state(idOf("rel", 1), "healthy")
    time.step(90 * minute)
    await control.put(silent(2, [await scheduled(2, "echo b", { cron: "0 * * * *" })], 2))
    time.step(20_000)
    assert.lengthOf(runs(control), 0)
    time.step(30 * minute)
    await ended(control, 1)
  })

  it("follows a clock that is set", async () => {
    const { harness, scheduled, time } = await setUp()
    const { control } = harness
    await control.snapshot(silent(1, [await scheduled(1, "true", { cron: "0 * * * *" })], 1))
    await control.state(idOf("rel", 1), "healthy")
    time.set(Date.parse("2026-11-28T11:00:01Z"))
    time.step(5_000)
    await ended(control, 1)
    time.set(Date.parse("2026-11-28T09:59:59Z"))
    time.step(5_000)
    await eventually("it is due at the next hour", () =>
      control.received.some(
        is("release", ({ schedule }) => schedule?.next === Date.parse("2026-11-28T11:00Z"))
      )
    )
    assert.isFalse(runs(control).some(({ number }) => number === 2))
  })
})

describe("a worker without a port", () => {
  it("works, has no hostname, and gives way to a web process and back", async () => {
    const { harness, web, worker } = await setUp()
    const { control, get, processes } = harness
    const [one, two] = [await worker(1), await web(2)]
    await control.snapshot(silent(1, [one], 1))
    await control.state(one.release, "healthy")
    await control.logLine(stage, "v1 works with PORT unset")
    assert.strictEqual((await get("/")).status, 404)
    await control.put(silent(2, [one, two], 1))
    await control.state(two.release, "healthy")
    await control.put(stageOf(3, [two], 2))
    assert.strictEqual((await get("/")).status, 200)
    await control.state(one.release, "stopped")
    const three = await worker(3)
    await control.put(stageOf(4, [two, three], 2))
    await control.state(three.release, "healthy")
    assert.strictEqual((await get("/")).status, 200)
    await control.put(silent(5, [three], 3))
    assert.strictEqual((await get("/")).status, 404)
    await control.state(two.release, "stopped")
    assert.lengthOf(processes.alive(), 1)
  })
})
