/** Two controls at one edge, each with a role of its own, and one that knows no roles yet. */
import { once } from "node:events"
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import {
  dial,
  eventually,
  idOf,
  is,
  openControl,
  processRelease,
  stageOf,
  startHarness,
  staticRelease
} from "./testing/EdgeHarness.ts"
import { startElsewhere } from "./testing/Elsewhere.ts"

const setUp = async () => {
  const harness = await startHarness()
  onTestFinished(harness.close)
  const ingress = await openControl(harness.home, "ingress")
  onTestFinished(ingress.close)
  return { harness, ingress, ...harness }
}

/** A site with this text, as a release of this number. */
const siteRelease = async (number: number, text: string) => {
  const root = await mkdtemp(join(tmpdir(), "edge-role-"))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await writeFile(join(root, "index.html"), text)
  return staticRelease(number, root)
}

const other = { stage: idOf<string>("stg", 2), host: "other.localhost" }
const otherStage = async (generation: number, text: string) =>
  stageOf(generation, [await siteRelease(9, text)], 9, {
    stage: idOf("stg", 2),
    hostnames: ["other"]
  })

describe("the roles of controls", () => {
  it("have stages, epochs and revisions of their own, on disk too", async () => {
    const { control, get, harness, home, ingress } = await setUp()
    await control.snapshot(stageOf(1, [await siteRelease(1, "deployed")], 1))
    await control.snapshot(stageOf(1, [await siteRelease(1, "deployed")], 1))
    const hello = await ingress.hello(70)
    assert.deepInclude(hello, { epoch: 0, revision: 0 })
    await ingress.snapshot(await otherStage(4, "routed"))
    assert.strictEqual((await get("/")).text, "deployed")
    assert.strictEqual((await get("/", { host: other.host })).text, "routed")

    await ingress.until(
      "its route",
      is("route", ({ stage }) => stage === other.stage)
    )
    const mine = is("route", ({ stage }) => stage === idOf("stg", 1))
    const theirs = is("route", ({ stage }) => stage === other.stage)
    assert.notExists(ingress.received.find(mine))
    assert.notExists(control.received.find(theirs))

    await harness.restart()
    assert.deepInclude(await harness.control.hello(1), { epoch: 1, revision: 2 })
    const again = await openControl(home, "ingress")
    onTestFinished(again.close)
    assert.deepInclude(await again.hello(70), { epoch: 70, revision: 1 })
    await again.until("its route", theirs)
    assert.strictEqual((await get("/")).text, "deployed")
    assert.strictEqual((await get("/", { host: other.host })).text, "routed")
  })

  it("never remove what is the other's, and never send the other away", async () => {
    const { control, get, ingress } = await setUp()
    await ingress.hello(1)
    await control.snapshot(stageOf(1, [await siteRelease(1, "deployed")], 1))
    await ingress.snapshot(await otherStage(1, "routed"))
    await control.snapshot()
    assert.strictEqual((await get("/")).status, 404)
    assert.strictEqual((await get("/", { host: other.host })).text, "routed")
    const remove = [{ stage: other.stage, generation: 99 }]
    control.send({ type: "delta", epoch: 1, revision: 3, put: [], remove })
    await control.until(
      "applied",
      is("applied", ({ revision }) => revision === 3)
    )
    assert.strictEqual((await get("/", { host: other.host })).text, "routed")
    await control.snapshot(stageOf(2, [await siteRelease(1, "deployed")], 1))
    await ingress.snapshot()
    assert.strictEqual((await get("/")).text, "deployed")
    assert.strictEqual((await get("/", { host: other.host })).status, 404)
  })

  it("hand a stage over to whoever has its newer generation, without a failed request", async () => {
    const { control, get, harness, home, ingress, processes } = await setUp()
    const { nodeKey } = await ingress.hello(1)
    const release = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(5, [release], 1))
    await control.state(release.release, "healthy")
    const routed = await siteRelease(2, "routed")
    await ingress.snapshot(stageOf(4, [routed], 2))
    assert.strictEqual((await get("/")).text, "v1", "an older generation takes nothing")

    const bad: Array<string> = []
    let done = false
    const client = async () => {
      while (!done) {
        const { status, text } = await get("/")
        if (status !== 200 || !["v1", "routed"].includes(text)) bad.push(`${status} ${text}`)
      }
    }
    const clients = Array.from({ length: 8 }, client)
    await ingress.put(stageOf(6, [routed], 2))
    await eventually("it is routed", async () => (await get("/")).text === "routed")
    await control.state(release.release, "stopped")
    done = true
    await Promise.all(clients)
    assert.deepEqual(bad, [])
    assert.deepEqual(processes.alive(), [])
    assert.deepEqual(await readdir(join(home, "edge/stages")), [])

    await control.snapshot(stageOf(5, [release], 1))
    assert.strictEqual((await get("/")).text, "routed", "an older one does not take it back")
    await harness.restart()
    assert.strictEqual((await get("/")).text, "routed")
    // Equal generations: an operator has gone back, and the later word counts.
    await harness.control.hello(2)
    await harness.control.snapshot(stageOf(6, [release], 1))
    assert.strictEqual((await get("/")).text, "v1")
    assert.deepEqual(await readdir(join(home, "edge/ingress/stages")), [])
  })

  it("answer who waits for a stage from where it is led meanwhile", async () => {
    const { control, get, ingress } = await setUp()
    const { nodeKey } = await ingress.hello(1)
    const silent = await processRelease(nodeKey, 1, { BROKEN: "silent" })
    await control.snapshot(stageOf(1, [silent], 1))
    const waiting = get("/")
    // By the time this is answered, the one above waits.
    await get("/", { host: "nobody.localhost" })
    await ingress.snapshot(stageOf(2, [await siteRelease(2, "routed")], 2))
    assert.strictEqual((await waiting).text, "routed")
  })

  it("keep the log of a stage that goes back to where it runs", async () => {
    const { control, edge, get, harness, ingress } = await setUp()
    const { nodeKey } = await control.hello(1)
    const there = await startElsewhere("there")
    onTestFinished(there.stop)
    await ingress.hello(1)
    await ingress.snapshot(stageOf(1, [there.as(1)], 1))
    const slow = await dial(edge.appsPort)
    slow.write("GET /held?key=slow HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await slow.until("200 OK")
    const release = await processRelease(nodeKey, 2)
    await control.snapshot(stageOf(2, [release], 2))
    await control.state(release.release, "healthy")
    await get("/print?key=1:kept")
    await control.logLine(idOf("stg", 1), "kept 1")
    // Only now is all of its other life over.
    slow.socket.destroy()
    await ingress.state(idOf("rel", 1), "stopped")
    await harness.restart()
    await harness.control.hello(2)
    await harness.control.logLine(idOf("stg", 1), "kept 1")
  })

  it("settle a stage that a kill has left in both: the newer one serves", async () => {
    const { control, get, harness, home, ingress } = await setUp()
    await ingress.hello(1)
    await control.snapshot(stageOf(1, [await siteRelease(1, "deployed")], 1))
    const kept = join(home, "kept")
    await cp(join(home, "edge/stages"), kept, { recursive: true })
    await ingress.snapshot(stageOf(2, [await siteRelease(2, "routed")], 2))
    await cp(kept, join(home, "edge/stages"), { recursive: true })
    await harness.restart()
    await eventually("it is routed", async () => (await get("/")).text === "routed")
    assert.deepEqual(await readdir(join(home, "edge/stages")), [])
  })

  it("are kept by a connection from its first hello on", async () => {
    const { control, get, ingress } = await setUp()
    await control.snapshot(stageOf(1, [await siteRelease(1, "deployed")], 1))
    await ingress.hello(1)
    const from = ingress.received.length
    ingress.send({ type: "hello", protocol: 2, role: "deploy", epoch: 9, appsPort: 0 })
    const { reason } = await ingress.until("refusal", is("refused"), from)
    assert.include(reason, "ingress")
    await ingress.snapshot()
    assert.strictEqual((await get("/")).text, "deployed")
  })
})

describe("a control of the version before", () => {
  it("is the one that deploys, and is answered in its version", async () => {
    const { control, get, home, ingress } = await setUp()
    await ingress.hello(1)
    await ingress.snapshot(await otherStage(1, "routed"))
    const replaced = once(control.socket, "close")
    const before = await openControl(home)
    onTestFinished(before.close)
    assert.deepInclude(await before.hello(2), { protocol: 1 })
    await replaced
    await before.snapshot(stageOf(1, [await siteRelease(1, "deployed")], 1))
    await before.state(idOf("rel", 1), "healthy")
    await before.put(stageOf(2, [await siteRelease(2, "again")], 2))
    assert.strictEqual((await get("/")).text, "again")
    await before.snapshot()
    assert.strictEqual((await get("/")).status, 404)
    assert.strictEqual((await get("/", { host: other.host })).text, "routed")
  })
})
