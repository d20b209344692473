import { once } from "node:events"
import { connect } from "node:net"
import { afterAll, assert, beforeAll, describe, it, onTestFinished } from "vitest"
import type { Dial } from "./process/Processes.ts"
import {
  askEdge,
  eventually,
  type Harness,
  idOf,
  processRelease,
  stageOf,
  startHarness
} from "./testing/EdgeHarness.ts"

// A client that takes its host from the URL needs a name that leads here on every machine.
const host = "127.0.0.1"
const more = { hostnames: ["127"] }
const options = { appsDomain: "0.0.1", idleMs: 600, drainMs: 3_000 }

/** Connected already when the edge gets it, as by a gate. */
const dial: Dial = async (host, port) => {
  const socket = connect(port, host)
  await once(socket, "connect")
  return socket
}

describe.each([
  { over: "a connection of the edge's own", way: {} },
  { over: "one that was made for it", way: { dial } }
])("a WebSocket client, over $over", ({ way }) => {
  let harness: Harness
  let nodeKey = ""
  let port = 0
  beforeAll(async () => {
    harness = await startHarness({ ...options, ...way })
    nodeKey = (await harness.control.hello(1)).nodeKey
    await harness.control.snapshot(stageOf(1, [await processRelease(nodeKey, 1)], 1, more))
    await harness.control.state(idOf("rel", 1), "healthy")
    port = harness.edge.appsPort
  })
  afterAll(() => harness.close())

  const open = async () => {
    const client = new WebSocket(`ws://${host}:${port}/chat`)
    onTestFinished(() => client.close())
    await once(client, "open")
    const heard: Array<string> = []
    client.addEventListener("message", ({ data }) => heard.push(String(data)))
    return {
      client,
      say: async (text: string) => {
        client.send(text)
        await eventually("a reply", () => heard.length > 0)
        return heard.shift()
      }
    }
  }

  it("talks with the process, for longer than an answer may take, and says goodbye", async () => {
    const { client, say } = await open()
    assert.strictEqual(await say("hello"), "v1: hello")
    assert.strictEqual((await askEdge(port, "/silent", { host })).status, 504)
    assert.strictEqual(await say("x".repeat(60_000)), `v1: ${"x".repeat(60_000)}`)
    client.close(1000)
    const [closed] = await once(client, "close")
    assert.deepEqual([closed.code, closed.wasClean], [1000, true])
  })

  it("stays with its release over a redeployment, until the deadline", async () => {
    const { client, say } = await open()
    assert.strictEqual(await say("before"), "v1: before")
    const closed = once(client, "close")
    const second = await processRelease(nodeKey, 2)
    await harness.control.put(stageOf(2, [await processRelease(nodeKey, 1), second], 1, more))
    await harness.control.state(idOf("rel", 2), "healthy")
    await harness.control.put(stageOf(3, [second], 2, more))
    // The route has moved: new ones go to the new release, this one still to the old.
    assert.strictEqual((await askEdge(port, "/", { host })).text, "v2")
    assert.strictEqual(await say("after"), "v1: after")
    const fresh = await open()
    assert.strictEqual(await fresh.say("new"), "v2: new")
    await closed
    await harness.control.state(idOf("rel", 1), "stopped")
    assert.strictEqual(await fresh.say("still"), "v2: still")
    assert.strictEqual(harness.processes.alive().length, 1)
  })
})
