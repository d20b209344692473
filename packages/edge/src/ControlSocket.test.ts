import { existsSync } from "node:fs"
import { readdir, readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import {
  eventually,
  idOf,
  is,
  openControl,
  processRelease,
  stageOf,
  startHarness,
  staticRelease
} from "./testing/EdgeHarness.ts"

const setUp = async (...args: Parameters<typeof startHarness>) => {
  const harness = await startHarness(...args)
  onTestFinished(harness.close)
  return harness
}
const root = import.meta.dirname

describe("the conversation with control", () => {
  it("greets with what it holds, and keeps its key and its secrets to itself", async () => {
    const { control, edge, home } = await setUp({}, false)
    const hello = await control.hello(4)
    assert.deepInclude(hello, { protocol: 2, epoch: 0, revision: 0, problem: null })
    assert.strictEqual(hello.appsPort, edge.appsPort)
    assert.strictEqual(hello.pid, process.pid)
    assert.strictEqual(Buffer.from(hello.nodeKey, "base64url").length, 32)

    const release = await processRelease(hello.nodeKey, 1, { CANARY: "canary-51b7" })
    await control.snapshot(stageOf(1, [release], 1))
    await control.state(release.release, "healthy")
    const names = await readdir(home, { recursive: true, withFileTypes: true })
    for (const entry of names.filter((one) => one.isFile())) {
      const path = join(entry.parentPath, entry.name)
      assert.notInclude(await readFile(path, "utf8"), "canary-51b7", path)
      assert.strictEqual((await stat(path)).mode & 0o077, 0, path)
    }
    assert.strictEqual((await stat(join(home, "run"))).mode & 0o777, 0o700)
    assert.strictEqual((await stat(join(home, "run/edge.sock"))).mode & 0o777, 0o600)
    const pid = await readFile(join(home, "run/edge.pid"), "utf8")
    assert.strictEqual(Number(pid), process.pid)
  })

  it("refuses other protocols, what comes before hello, and what is no message", async () => {
    const { control, home } = await setUp({}, false)
    control.send({ type: "snapshot", epoch: 1, revision: 1, stages: [] })
    await control.until(
      "refusal",
      is("refused", ({ reason }) => reason.includes("say hello"))
    )
    control.send({ type: "nonsense" })
    await control.until(
      "refusal",
      is("refused", ({ reason }) => reason.includes("nonsense"))
    )
    control.send({ type: "snapshot", epoch: 1, revision: 1, stages: [{ secret: "s3cr3t" }] })
    const bad = await control.until(
      "refusal",
      is("refused", (r) => r.reason.includes("snapshot"))
    )
    assert.notInclude(bad.reason, "s3cr3t")
    control.socket.write("{oops\n")
    await control.until(
      "refusal",
      is("refused", ({ reason }) => reason.includes("not JSON"))
    )

    for (const protocol of [0, 3]) {
      const other = await openControl(home)
      other.send({ type: "hello", protocol, epoch: 9, appsPort: 0 })
      const refused = await other.until("refusal", is("refused"))
      assert.include(refused.reason, `protocol ${protocol}`)
    }
  })

  it("listens to the newest control only and refuses an older epoch", async () => {
    const { control, home } = await setUp({}, false)
    await control.hello(5)
    const closed = new Promise((resolve) => control.socket.once("close", resolve))
    const newer = await openControl(home, "deploy")
    onTestFinished(newer.close)
    await newer.hello(6)
    await closed
    const late = await openControl(home)
    onTestFinished(late.close)
    late.send({ type: "hello", protocol: 2, epoch: 5, appsPort: 0 })
    const refused = await late.until("refusal", is("refused"))
    assert.strictEqual(refused.epoch, 6)
    await newer.snapshot()
  })

  it("refuses older epochs and revisions, and gaps; repeats are harmless", async () => {
    const { control } = await setUp({}, false)
    await control.hello(3)
    const delta = (epoch: number, revision: number) =>
      control.send({ type: "delta", epoch, revision, put: [], remove: [] })
    await control.snapshot(stageOf(1, [staticRelease(1, root)], 1))
    await control.snapshot(stageOf(2, [staticRelease(1, root)], 1))
    delta(3, 1)
    await control.until(
      "refusal",
      is("refused", (r) => r.reason.includes("revision 1 is older"))
    )
    delta(2, 9)
    await control.until(
      "refusal",
      is("refused", (r) => r.reason.includes("epoch 2 is older"))
    )
    delta(3, 9)
    await control.until(
      "refusal",
      is("refused", (r) => r.reason.includes("gap"))
    )
    delta(4, 1)
    await control.until(
      "refusal",
      is("refused", (r) => r.reason.includes("snapshot"))
    )
    const from = control.received.length
    delta(3, 2)
    await control.until(
      "applied",
      is("applied", ({ revision }) => revision === 2),
      from
    )
  })

  it("lets no older generation of a stage through, in no kind of message", async () => {
    const { control, get } = await setUp()
    await control.snapshot(stageOf(7, [staticRelease(1, root)], 1))
    await control.until(
      "route",
      is("route", ({ generation }) => generation === 7)
    )
    const stale = stageOf(6, [], null, { hostnames: ["stale"] })
    await control.snapshot(stale)
    assert.strictEqual((await get("/Edge.ts")).status, 200)
    assert.strictEqual((await get("/", { host: "stale.localhost" })).status, 404)
    // Equal is the same content, whatever it says.
    await control.snapshot(stageOf(7, [], null, { hostnames: ["stale"] }))
    assert.strictEqual((await get("/Edge.ts")).status, 200)
    const { stage } = stale
    const at = { epoch: 1, put: [] }
    control.send({ ...at, type: "delta", revision: 4, remove: [{ stage, generation: 6 }] })
    await control.until(
      "applied",
      is("applied", ({ revision }) => revision === 4)
    )
    assert.strictEqual((await get("/Edge.ts")).status, 200)
    control.send({ ...at, type: "delta", revision: 5, remove: [{ stage, generation: 8 }] })
    const gone = await control.until(
      "route",
      is("route", ({ release }) => release === null)
    )
    assert.strictEqual(gone.generation, 8)
    assert.strictEqual((await get("/Edge.ts")).status, 404)
    // Once more: it is told again, for a control that was killed before it heard.
    control.send({ ...at, type: "delta", revision: 6, remove: [{ stage, generation: 9 }] })
    await control.until(
      "route",
      is("route", ({ generation }) => generation === 9)
    )
  })

  it("removes what a snapshot does not list, with its processes, files and logs", async () => {
    const { control, get, home, processes } = await setUp()
    const hello = await control.hello(1)
    const release = await processRelease(hello.nodeKey, 1)
    await control.snapshot(stageOf(1, [release], 1))
    await control.state(release.release, "healthy")
    assert.strictEqual((await get("/")).text, "v1")
    const logs = join(home, "logs/runtime", idOf("stg", 1))
    assert.isTrue(existsSync(logs))
    await control.snapshot()
    await control.state(release.release, "stopped")
    assert.deepEqual(processes.alive(), [])
    assert.strictEqual((await get("/")).status, 404)
    assert.deepEqual(await readdir(join(home, "edge/stages")), [])
    await eventually("the log is removed", () => !existsSync(logs))
  })

  it("tells a control that comes later the whole present state", async () => {
    const { control, home } = await setUp()
    await control.snapshot(stageOf(3, [staticRelease(1, root)], 1))
    await control.until("route", is("route"))
    const later = await openControl(home, "deploy")
    onTestFinished(later.close)
    const hello = await later.hello(2)
    assert.deepInclude(hello, { epoch: 1, revision: 1 })
    await later.state(idOf("rel", 1), "healthy")
    const route = await later.until("route", is("route"))
    assert.deepEqual([route.generation, route.release], [3, idOf("rel", 1)])
  })

  it("sends everything again to be told when a stage on its disk is damaged", async () => {
    const harness = await setUp()
    await harness.control.snapshot(stageOf(3, [staticRelease(1, root)], 1))
    await writeFile(join(harness.home, "edge/stages", `${idOf("stg", 1)}.json`), "{")
    await harness.restart()
    assert.deepInclude(await harness.control.hello(1), { epoch: 1, revision: 0 })
    await harness.control.snapshot(stageOf(3, [staticRelease(1, root)], 1))
    await harness.control.until(
      "route",
      is("route", ({ generation }) => generation === 3)
    )
  })
})
