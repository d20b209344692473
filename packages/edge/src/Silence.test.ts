import { afterAll, assert, beforeAll, describe, it, onTestFinished } from "vitest"
import {
  askEdge,
  dial,
  type Harness,
  idOf,
  processRelease,
  stageOf,
  startHarness
} from "./testing/EdgeHarness.ts"

let harness: Harness
let port = 0
beforeAll(async () => {
  harness = await startHarness({ idleMs: 600 })
  const { nodeKey } = await harness.control.hello(1)
  await harness.control.snapshot(stageOf(1, [await processRelease(nodeKey, 1)], 1))
  await harness.control.state(idOf("rel", 1), "healthy")
  port = harness.edge.appsPort
})
afterAll(() => harness.close())

const raw = async (text: string) => {
  const connection = await dial(port)
  onTestFinished(() => void connection.socket.destroy())
  connection.write(text)
  return connection
}
const host = "Host: shop.localhost\r\n"

describe("a process that says nothing", () => {
  it("gets its request answered for it, and its upgrade", async () => {
    const answer = await askEdge(port, "/silent")
    assert.strictEqual(answer.status, 504)
    assert.strictEqual(JSON.parse(answer.text).error.code, "timed_out")
    const tunnel = await raw(
      `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: silent\r\n\r\n`
    )
    assert.include(await tunnel.closed(), "504 Gateway Timeout")
    const held = await raw(`GET /held?key=idle HTTP/1.1\r\n${host}\r\n`)
    assert.match(await held.closed(), /200 OK/u)
  })

  it("may be silent in a stream of events", async () => {
    const connection = await raw(`GET /events HTTP/1.1\r\n${host}\r\n`)
    await connection.until("data: first")
    // Longer than any other answer may pause, which another one shows.
    assert.strictEqual((await askEdge(port, "/silent")).status, 504)
    assert.strictEqual((await askEdge(port, "/silent")).status, 504)
    assert.isFalse(connection.socket.closed)
  })
})
