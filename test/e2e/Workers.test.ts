/** A service whose Procfile has a worker: pushed, replaced, crashing, and after the death of the edge. */
import { randomBytes } from "node:crypto"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "./Eventually.ts"
import { type Platform, startPlatform } from "./Platform.ts"
import { processesWith } from "./Remains.ts"
import { sample } from "./Samples.ts"
import type { Files, WorkTree } from "./WorkTree.ts"

/** In the environment of every process of the service, and nowhere else. */
const mark = `mark-${randomBytes(8).toString("hex")}`

let platform: Platform
let tree: WorkTree
let url: string
beforeAll(async () => {
  platform = await startPlatform()
  url = await platform.api.repository("queue")
  await platform.api.createService({ repo: "queue", name: "queue", env_vars: { MARK: mark } })
  tree = await platform.workTree()
})
afterAll(() => platform.dispose())

const pushLive = async (files: Files) => {
  await tree.commit(files)
  const pushed = await tree.push(url)
  assert.strictEqual(pushed.code, 0, pushed.output)
  return pushed
}

/** Pids of all workers that run for it. */
const workers = () =>
  processesWith(mark)
    .filter(({ command }) => command.includes("worker.js"))
    .map(({ pid }) => pid)

const logHas = (what: string, line: RegExp) =>
  eventually(what, async () => line.test((await platform.api.runtimeLog("queue")).join("\n")))

describe("a worker", () => {
  it("is built and started with the service, and its lines say its name", async () => {
    const pushed = await pushLive(sample("worker"))
    assert.match(pushed.output, /Process web: node web\.js/u)
    assert.match(pushed.output, /Process worker: node worker\.js/u)
    assert.strictEqual((await platform.get("queue")).body, "Hello from web, version 1\n")
    await logHas("it works", /^worker \| version 1 has done job 2$/mu)
    assert.lengthOf(workers(), 1)
    const log = await platform.api.runtimeLog("queue")
    assert.isTrue(log.some((line) => /^listening on \d+$/u.test(line)))
    const { runtime_log } = await platform.api.service("queue", { runtime_log_lines: 100 })
    assert.isTrue(runtime_log?.some(({ text }) => text === "worker | version 1 waits for jobs"))
  })

  it("is replaced by the next release's: the old one ends before the new one starts", async () => {
    const [before] = workers()
    const probe = platform.probe("queue")
    await pushLive(sample("worker", "2"))
    await logHas("the new one works", /^worker \| version 2 has done job 1$/mu)
    assert.deepStrictEqual((await probe.stop()).bad, [])
    assert.lengthOf(workers(), 1)
    assert.notInclude(workers(), before)
    const words = (await platform.api.runtimeLog("queue")).filter((line) =>
      /^worker \| version \d (?:waits|takes)/u.test(line)
    )
    assert.deepStrictEqual(words, [
      "worker | version 1 waits for jobs",
      "worker | version 1 takes no more jobs",
      "worker | version 2 waits for jobs"
    ])
  })

  it("comes back with the edge, and never twice", async () => {
    const before = workers()
    await platform.kill9("edge")
    await eventually("another one runs", () => {
      const now = workers()
      return now.length === 1 && now[0] !== before[0]
    })
    await eventually("the service answers", async () => {
      const { body } = await platform.get("queue")
      return body === "Hello from web, version 2\n"
    })
    assert.lengthOf(workers(), 1)
  })

  it("that crashes again and again leaves the service live, and the log says so", async () => {
    const files = { ...sample("worker", "3"), "worker.js": `throw new Error("no queue here")\n` }
    await pushLive(files)
    await logHas("it is a loop", /^worker \| The process ended 5 times in a row/mu)
    const log = (await platform.api.runtimeLog("queue")).join("\n")
    assert.match(log, /^worker \| .*Error: no queue here$/mu)
    assert.match(log, /^worker \| The service goes on answering without it\.$/mu)
    assert.strictEqual((await platform.get("queue")).body, "Hello from web, version 3\n")
    assert.strictEqual((await platform.api.service("queue")).status, "live")
  })

  it("goes with its service", async () => {
    await pushLive(sample("worker", "4"))
    await logHas("it works", /^worker \| version 4 waits for jobs$/mu)
    await platform.api.remove("queue")
    await eventually("nothing of it runs", () => processesWith(mark).length === 0)
    await platform.stop()
  })
})
