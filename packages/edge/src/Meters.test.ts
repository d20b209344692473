import { assert, it, onTestFinished } from "vitest"
import {
  dial,
  eventually,
  idOf,
  is,
  keepAlive,
  processRelease,
  stageOf,
  startHarness
} from "./testing/EdgeHarness.ts"

const stage = idOf("stg", 1)

const setUp = async () => {
  const harness = await startHarness()
  onTestFinished(harness.close)
  const { measures, nodeKey } = await harness.control.hello(1)
  assert.isTrue(measures)
  const release = await processRelease(nodeKey, 1)
  await harness.control.snapshot(stageOf(1, [release], 1))
  await harness.control.state(release.release, "healthy")
  let asked = 0
  const measure = async () => {
    const id = ++asked
    harness.control.send({ type: "metrics", id })
    const node = await harness.control.until(
      "metrics",
      is("metrics", (metrics) => metrics.id === id)
    )
    const found = node.stages.find((one) => one.stage === stage)
    assert(found !== undefined)
    return { node, ...found }
  }
  return { ...harness, measure, release }
}

it("counts answers of a service by the class of their status, and how long they took", async () => {
  const { get, measure } = await setUp()
  for (let at = 0; at < 3; at += 1) await get("/")
  await get("/", { host: "nobody.localhost" })
  const { answers, durations, durationSum, inFlight, node, starts } = await measure()
  assert.deepEqual(answers, { "2": 3 })
  assert.strictEqual(
    durations.reduce((sum, one) => sum + one, 0),
    3
  )
  assert.strictEqual(durations.length, node.bounds.length + 1)
  assert.isAbove(durationSum, 0)
  assert.deepEqual([inFlight, starts, node.unmatched, node.startQueue], [0, 1, 1, 0])
})

it("tells what is open, and who left before there was an answer", async () => {
  const { edge, get, measure } = await setUp()
  const agent = keepAlive()
  await get("/", { agent })
  const held = await dial(edge.appsPort)
  held.write("GET /held?key=open HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
  await held.until("200 OK")
  const echo = await dial(edge.appsPort)
  echo.write(
    "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
  )
  await echo.until("101 Switching")
  const open = await measure()
  assert.deepEqual([open.inFlight, open.upgraded, open.node.connections], [1, 1, 3])
  held.socket.destroy()
  echo.socket.destroy()
  agent.destroy()
  let now = open
  await eventually("nothing is open", async () => {
    now = await measure()
    return now.node.connections === 0 && now.inFlight === 0
  })
  assert.deepEqual([now.upgraded, now.answers], [0, { "2": 2 }])
})

it("counts a process that is started again", async () => {
  const { control, get, measure } = await setUp()
  await get("/exit")
  await control.until(
    "restart",
    is("release", ({ restarts }) => restarts === 1)
  )
  const { restarts, starts } = await measure()
  assert.deepEqual([starts, restarts], [2, 1])
})

it("forgets a service that is removed", async () => {
  const { control, get, measure, release } = await setUp()
  await get("/")
  await control.snapshot()
  await control.state(release.release, "stopped")
  await eventually("it is forgotten", () =>
    measure().then(
      () => false,
      () => true
    )
  )
})
