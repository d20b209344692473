import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import { askEdge, dial, eventually, idOf, is, keepAlive, stageOf } from "./testing/EdgeHarness.ts"
import { makePlainProcesses } from "./testing/PlainProcesses.ts"
import {
  falls,
  pidsWith,
  standsStill,
  startWithSleepers,
  times
} from "./testing/SleepingReleases.ts"

const setUp = async (options: Parameters<typeof startWithSleepers>[0] = {}) => {
  const world = await startWithSleepers(options)
  onTestFinished(world.close)
  return world
}

describe("a release that nobody asks", () => {
  it("is frozen where it stands, healthy for control, and answers the next request", async () => {
    const { ask, control, edge, home, sleeper } = await setUp()
    const one = await sleeper(1, 150, { MARK: home, TICKS: "yes" })
    await control.snapshot(stageOf(1, [one], 1))
    await control.state(one.release, "healthy")
    const awake = await dial(edge.appsPort)
    awake.write("GET /held HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await awake.until("200 OK")
    const born = (await ask("/born")).text
    const [pid = 0, ...more] = await pidsWith(home)
    assert.deepEqual(more, [])
    assert.isFalse(await standsStill(pid))
    awake.socket.destroy()
    await falls(control, one, "frozen")
    await eventually("it stands still", () => standsStill(pid))

    const before = times(control, one, undefined)
    assert.strictEqual((await ask("/born")).text, born)
    await falls(control, one, undefined, before)
    await falls(control, one, "frozen", 1)
    const said = control.received.filter(is("release")).map(({ state }) => state)
    assert.deepEqual([...new Set(said)], ["starting", "healthy"])
  })

  it("answers 100 first requests at once out of one process, also over kept connections", async () => {
    const { control, edge, sleeper } = await setUp()
    const one = await sleeper(1)
    await control.snapshot(stageOf(1, [one], 1))
    await control.state(one.release, "healthy")
    const agents = Array.from({ length: 100 }, keepAlive)
    onTestFinished(() => agents.forEach((agent) => void agent.destroy()))
    const all = () => Promise.all(agents.map((agent) => askEdge(edge.appsPort, "/born", { agent })))
    const before = await all()
    for (let round = 0; round < 2; round += 1) {
      await falls(control, one, "frozen", round)
      const after = await all()
      assert.deepEqual([...new Set(after.map(({ status }) => status))], [200])
      assert.deepEqual(
        [...new Set([...before, ...after].map(({ text }) => text))],
        [before[0]?.text]
      )
    }
  })

  it("is stopped when its memory is wanted, and started once by 100 requests", async () => {
    const { ask, control, edge, home, sleeper } = await setUp({ frozenBytes: 0 })
    const one = await sleeper(1, 150, { MARK: home })
    await control.snapshot(stageOf(1, [one], 1))
    await control.state(one.release, "healthy")
    const born = (await ask("/born")).text
    await falls(control, one, "stopped")
    await eventually("nothing runs", async () => (await pidsWith(home)).length === 0)

    const body = "x".repeat(100_000)
    const upload = askEdge(edge.appsPort, "/hash", { method: "POST", body })
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask("/born")))
    assert.match((await upload).text, /^100000 /)
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
    const texts = new Set(answers.map(({ text }) => text))
    assert.strictEqual(texts.size, 1)
    assert.isFalse(texts.has(born))
    assert.deepEqual(
      [...new Set(control.received.filter(is("release")).map(({ state }) => state))],
      ["starting", "healthy"]
    )
  })

  it("is replaced while it sleeps, frozen or stopped, without an error", async () => {
    const { ask, control, home, sleeper } = await setUp({ frozenMs: 400 })
    let current = await sleeper(1, 100, { MARK: home })
    await control.snapshot(stageOf(1, [current], 1))
    await control.state(current.release, "healthy")
    for (const [number, depth] of [
      [2, "frozen"],
      [3, "stopped"]
    ] as const) {
      await falls(control, current, depth)
      const next = await sleeper(number, 100, { MARK: home })
      await control.put(stageOf(2 * number, [current, next], number - 1))
      await control.state(next.release, "healthy")
      await control.put(stageOf(2 * number + 1, [next], number))
      await control.state(current.release, "stopped")
      assert.strictEqual((await ask("/")).text, `v${number}`)
      // The first one rests for a while.
      assert.isAtMost((await pidsWith(home)).length, 2)
      current = next
    }
  })

  it("sleeps on when the edge is started again, and wakes up then", async () => {
    const { ask, control, harness, home, sleeper } = await setUp()
    const [one, two] = [await sleeper(1, 100, { MARK: home }), await sleeper(2, 60_000)]
    const other = { stage: idOf<never>("stg", 2), hostnames: ["other"] }
    await control.snapshot(stageOf(1, [one], 1), stageOf(1, [two], 2, other))
    await control.state(two.release, "healthy")
    await falls(control, one, "frozen")
    await harness.restart()
    await harness.control.hello(1)
    await harness.control.state(two.release, "healthy")
    const seen = harness.control.received.find(
      is("release", ({ release }) => release === one.release)
    )
    assert.strictEqual(seen?.state, "healthy")
    assert.strictEqual(seen?.asleep, "stopped")
    assert.deepEqual(await pidsWith(home), [])
    assert.strictEqual((await ask("/")).text, "v1")
    assert.strictEqual((await ask("/", "other.localhost")).text, "v2")
    assert.strictEqual((await pidsWith(home)).length, 1)
  })
})

describe("what keeps a release awake", () => {
  it("are an open tunnel, a stream and a slow answer, until they end", async () => {
    const { ask, control, edge, sleeper } = await setUp()
    const [held, free] = [await sleeper(1, 100), await sleeper(2, 300)]
    const other = { stage: idOf<never>("stg", 2), hostnames: ["other"] }
    await control.snapshot(stageOf(1, [held], 1), stageOf(1, [free], 2, other))
    await control.state(held.release, "healthy")
    await control.state(free.release, "healthy")
    const openings = [
      ["/", "Connection: Upgrade\r\nUpgrade: echo\r\n", "101 Switching"],
      ["/events", "", "data: first"],
      ["/held?key=slow", "", "200 OK"],
      // This time it is asleep already.
      ["/", "Connection: Upgrade\r\nUpgrade: echo\r\n", "101 Switching"]
    ] as const
    for (const [path, fields, sign] of openings) {
      const client = await dial(edge.appsPort)
      client.write(`GET ${path} HTTP/1.1\r\nHost: shop.localhost\r\n${fields}\r\n`)
      await client.until(sign)
      const [ours, others] = [times(control, held, "frozen"), times(control, free, "frozen")]
      await ask("/", "other.localhost")
      await falls(control, free, "frozen", others)
      assert.strictEqual(times(control, held, "frozen"), ours, path)
      client.socket.destroy()
      await falls(control, held, "frozen", ours)
    }
  })

  it("are its workers", async () => {
    const { ask, control, sleeper } = await setUp()
    const { release, workload } = await sleeper(1, 50)
    if (workload.kind !== "process") throw new Error("not a process")
    const busy = {
      release,
      workload: { ...workload, workers: { worker: "node SampleWorker.mjs" } }
    }
    const free = await sleeper(2, 200)
    const other = { stage: idOf<never>("stg", 2), hostnames: ["other"] }
    await control.snapshot(stageOf(1, [busy], 1), stageOf(1, [free], 2, other))
    await control.state(release, "healthy")
    await control.state(free.release, "healthy")
    await ask("/")
    await ask("/", "other.localhost")
    await falls(control, free, "frozen")
    assert.notExists(
      control.received.find(is("release", (seen) => seen.release === release && !!seen.asleep))
    )
  })
})

describe("the memory of those that sleep", () => {
  it("is given back by those that were used least recently", async () => {
    // The double's frozen processes hold one byte each.
    const processes = makePlainProcesses()
    const { ask, control, sleeper } = await setUp({
      makeProcesses: async () => processes,
      frozenBytes: 2
    })
    const numbers = [1, 2, 3]
    const listed = await Promise.all(numbers.map((number) => sleeper(number, 300)))
    await control.snapshot(
      ...listed.map((one, at) =>
        stageOf(1, [one], at + 1, { stage: idOf("stg", at + 1), hostnames: [`s${at + 1}`] })
      )
    )
    for (const one of listed) await control.state(one.release, "healthy")
    for (const number of [2, 3, 1]) await ask("/", `s${number}.localhost`)
    const [first, second, third] = listed
    if (!first || !second || !third) throw new Error("not three")
    await falls(control, second, "stopped")
    await falls(control, third, "frozen")
    await falls(control, first, "frozen")
    await eventually("two are left", () => processes.alive().length === 2)
  })
})

describe("a wake that takes longer than a moment", () => {
  it("shows a page that asks again to who looks at a window, and holds all others", async () => {
    const processes = makePlainProcesses()
    const { control, edge, home, sleeper } = await setUp({
      makeProcesses: async () => processes,
      frozenBytes: 0,
      lookMs: 50,
      holdMs: 60_000
    })
    const obstacle = join(home, "obstacle")
    const one = await sleeper(1, 150, { WAITS_IF: obstacle })
    await control.snapshot(stageOf(1, [one], 1))
    await control.state(one.release, "healthy")
    await falls(control, one, "stopped")
    await writeFile(obstacle, "")
    const html = "text/html,application/xhtml+xml,*/*;q=0.8"
    const asked = (headers: Record<string, string>, method = "GET") =>
      askEdge(edge.appsPort, "/", { method, headers })
    const held = [
      asked({ accept: "*/*" }),
      asked({ accept: html, "sec-fetch-dest": "empty" }),
      asked({ accept: html }, "POST")
    ]
    for (const headers of [{ accept: html }, { accept: html, "sec-fetch-dest": "document" }]) {
      const page = await asked(headers)
      assert.strictEqual(page.status, 503)
      assert.match(page.headers["content-type"] ?? "", /^text\/html/u)
      assert.strictEqual(page.headers["cache-control"], "no-store")
      const seconds = page.headers["retry-after"]
      assert.include(page.text, `<meta http-equiv="refresh" content="${seconds}">`)
      assert.include(page.text, '<p role="status">')
      assert.notMatch(page.text, /(?:src|href)="(?!")|url\(|@import/u)
    }
    await rm(obstacle)
    for (const answer of await Promise.all(held)) {
      assert.deepEqual([answer.status, answer.text], [200, "v1"])
    }
    assert.strictEqual((await asked({ accept: html })).status, 200)
  })
})

describe("too many for one that sleeps", () => {
  it("are told to come back, in words for people and for programs", async () => {
    const { control, edge, sleeper } = await setUp({ frozenBytes: 0, places: 10 })
    const one = await sleeper(1)
    await control.snapshot(stageOf(1, [one], 1))
    await control.state(one.release, "healthy")
    await falls(control, one, "stopped")
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, index) => {
        const accept = index % 2 === 0 ? "text/html" : "application/json"
        return askEdge(edge.appsPort, "/", { headers: { accept } })
      })
    )
    const served = answers.filter(({ status }) => status === 200)
    const refused = answers.filter(({ status }) => status === 503)
    assert.strictEqual(served.length, 10)
    assert.strictEqual(refused.length, 20)
    for (const { headers, text } of refused) {
      assert.match(headers["retry-after"] ?? "", /^\d+$/)
      if (headers["content-type"]?.startsWith("text/html")) {
        assert.include(text, "<h1>shop is waking up</h1>")
        continue
      }
      const { code, retry_after, state } = JSON.parse(text).error
      assert.deepEqual([code, state], ["crowded", "waking"])
      assert.strictEqual(String(retry_after), headers["retry-after"])
    }
  })

  it("hear why it can't be started any more, and it is tried again by itself", async () => {
    const processes = makePlainProcesses()
    const { ask, control, home, sleeper } = await setUp({
      makeProcesses: async () => processes,
      frozenBytes: 0
    })
    const obstacle = join(home, "obstacle")
    const one = await sleeper(1, 150, { FAILS_IF: obstacle })
    await control.snapshot(stageOf(1, [one], 1))
    await control.state(one.release, "healthy")
    await falls(control, one, "stopped")
    await writeFile(obstacle, "")
    const answer = await ask("/")
    assert.strictEqual(answer.status, 502)
    assert.strictEqual(JSON.parse(answer.text).error.code, "exited")
    assert.strictEqual((await control.state(one.release, "failed")).failure?.code, "exited")
    await rm(obstacle)
    await eventually("it answers again", async () => (await ask("/")).text === "v1")
  })
})
