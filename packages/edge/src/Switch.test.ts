import { once } from "node:events"
import { writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import {
  askEdge,
  dial,
  eventually,
  idOf,
  is,
  keepAlive,
  processRelease,
  stageOf,
  startHarness
} from "./testing/EdgeHarness.ts"
import { makePlainProcesses } from "./testing/PlainProcesses.ts"

const setUp = async (...args: Parameters<typeof startHarness>) => {
  const harness = await startHarness(...args)
  onTestFinished(harness.close)
  const { nodeKey } = await harness.control.hello(1)
  return { harness, nodeKey, ...harness }
}

describe("the route switch", () => {
  it("fails no request of 32 keep-alive clients in 20 switches", async () => {
    const { control, edge, nodeKey, processes } = await setUp()
    let current = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [current], 1))
    await control.state(current.release, "healthy")

    let live: ReadonlyArray<string> = ["v1"]
    let done = false
    let served = 0
    const bad: Array<string> = []
    const client = async () => {
      const agent = keepAlive()
      while (!done) {
        const allowed = live
        const answer = await askEdge(edge.appsPort, "/", { agent }).catch((error) => ({
          status: 0,
          text: String(error)
        }))
        served += 1
        // The route may move while the request is on its way.
        const fits =
          answer.status === 200 && (allowed.includes(answer.text) || live.includes(answer.text))
        if (!fits) bad.push(`${answer.status} ${answer.text}, allowed ${allowed}, now ${live}`)
      }
      agent.destroy()
    }
    const clients = Array.from({ length: 32 }, client)
    for (let number = 2; number <= 21; number += 1) {
      const next = await processRelease(nodeKey, number)
      const before = number - 1
      await control.put(stageOf(2 * number, [current, next], before))
      await control.state(next.release, "healthy")
      live = [`v${before}`, `v${number}`]
      await control.put(stageOf(2 * number + 1, [next], number))
      live = [`v${number}`]
      current = next
    }
    done = true
    await Promise.all(clients)
    assert.deepEqual(bad, [])
    assert.isAbove(served, 1_000)
    await eventually("only the last one runs", () => processes.alive().length === 1)
  })

  it("never gives the route to a candidate that is not healthy", async () => {
    const { control, get, nodeKey } = await setUp()
    const good = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [good], 1))
    await control.state(good.release, "healthy")
    const broken = await processRelease(nodeKey, 2, { BROKEN: "exit" })
    await control.snapshot(stageOf(2, [good, broken], 1))
    const failed = await control.state(broken.release, "failed")
    assert.strictEqual(failed.failure?.code, "exited")
    // Even when control asks for it by mistake, and takes the good one off the list.
    await control.snapshot(stageOf(3, [broken], 2))
    assert.strictEqual((await get("/")).text, "v1")
    assert.notExists(control.received.find(is("route", ({ generation }) => generation === 3)))
    await control.put(stageOf(4, [good], 1))
    await control.state(broken.release, "stopped")
    assert.strictEqual((await get("/")).text, "v1")
  })

  it("moves the route by itself when the wanted release becomes healthy", async () => {
    const { control, get, nodeKey } = await setUp()
    const one = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [one], 1))
    await control.state(one.release, "healthy")
    const two = await processRelease(nodeKey, 2)
    await control.put(stageOf(2, [two], 2))
    assert.strictEqual((await get("/")).text, "v2")
    await control.state(one.release, "stopped")
  })

  it("lets a slow answer and an upgraded connection finish before the old release stops", async () => {
    const { control, edge, get, nodeKey, processes } = await setUp()
    const old = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [old], 1))
    await control.state(old.release, "healthy")
    const slow = await dial(edge.appsPort)
    slow.write("GET /held?key=slow HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await slow.until("200 OK")
    const echo = await dial(edge.appsPort)
    echo.write(
      "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )
    await echo.until("101 Switching")

    const next = await processRelease(nodeKey, 2)
    await control.put(stageOf(2, [next], 2))
    assert.strictEqual((await get("/")).text, "v2")
    echo.write("still here")
    await echo.until("still here")
    assert.strictEqual(processes.alive().length, 2)
    assert.notExists(control.received.find(is("release", ({ state }) => state === "stopped")))

    // The slow one ends: the tunnel alone still holds the old release.
    slow.socket.destroy()
    await control.logLine(idOf("stg", 1), "aborted slow")
    for (let at = 0; at < 50; at += 1) {
      echo.write(`again ${at};`)
      await echo.until(`again ${at};`)
    }
    assert.strictEqual(processes.alive().length, 2)
    echo.socket.destroy()
    await control.state(old.release, "stopped")
    assert.strictEqual(processes.alive().length, 1)
  })

  it("stops a release that does not drain by its deadline", async () => {
    const { control, edge, nodeKey, processes } = await setUp({ drainMs: 100 })
    const old = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [old], 1))
    await control.state(old.release, "healthy")
    const slow = await dial(edge.appsPort)
    slow.write("GET /held?key=slow HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await slow.until("200 OK")
    await control.put(stageOf(2, [await processRelease(nodeKey, 2)], 2))
    await control.state(old.release, "stopped")
    await slow.closed()
    assert.strictEqual(processes.alive().length, 1)
  })

  it("cuts an upgraded connection off at the deadline, and stops the release", async () => {
    const { control, edge, nodeKey, processes } = await setUp({ drainMs: 100 })
    const old = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [old], 1))
    await control.state(old.release, "healthy")
    const echo = await dial(edge.appsPort)
    echo.write(
      "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )
    await echo.until("101 Switching")
    await control.put(stageOf(2, [await processRelease(nodeKey, 2)], 2))
    await control.state(old.release, "stopped")
    await echo.closed()
    assert.strictEqual(processes.alive().length, 1)
  })

  it("keeps a release that is wanted again while it drains", async () => {
    const { control, edge, get, nodeKey, processes } = await setUp()
    const one = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [one], 1))
    await control.state(one.release, "healthy")
    const slow = await dial(edge.appsPort)
    slow.write("GET /held?key=slow HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await slow.until("200 OK")
    const before = processes.alive()
    const two = await processRelease(nodeKey, 2)
    await control.put(stageOf(2, [two], 2))
    await control.put(stageOf(3, [one], 1))
    await control.state(two.release, "stopped")
    slow.socket.destroy()
    assert.strictEqual((await get("/")).text, "v1")
    assert.deepEqual(processes.alive(), before)
  })
})

describe("after a crash or a restart", () => {
  it("holds requests while a crashed process comes back", async () => {
    const { control, get, nodeKey } = await setUp()
    const release = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [release], 1))
    await control.state(release.release, "healthy")
    await get("/exit")
    await control.until(
      "restart",
      is("release", ({ restarts }) => restarts === 1)
    )
    const answers = await Promise.all(Array.from({ length: 20 }, () => get("/")))
    assert.deepEqual([...new Set(answers.map(({ text }) => text))], ["v1"])
  })

  it("waits for a process that refuses connections although it counts as healthy", async () => {
    const port = Promise.withResolvers<number>()
    const { control, get, nodeKey } = await setUp({
      makeProcesses: async () => ({
        ...makePlainProcesses(),
        start: ({ onState }) => {
          const state = { restarts: 0, failure: null }
          void port.promise.then((port) =>
            onState({ ...state, state: "healthy", endpoint: { host: "127.0.0.1", port } })
          )
          return {
            state: { ...state, state: "starting", endpoint: null },
            freeze: async () => null,
            thaw: async () => {},
            stop: async () => onState({ ...state, state: "stopped", endpoint: null })
          }
        }
      })
    })
    const release = await processRelease(nodeKey, 1)
    await control.snapshot(stageOf(1, [release], 1))
    let body = ""
    const late = createServer(async (request, response) => {
      for await (const chunk of request) body += chunk
      response.end("late")
    }).listen(0, "127.0.0.1")
    onTestFinished(() => void late.close())
    await once(late, "listening")
    const address = late.address()
    assert(typeof address === "object" && address !== null)
    await new Promise((resolve) => late.close(resolve))
    port.resolve(address.port)
    await control.state(release.release, "healthy")
    const refused = await askEdge(address.port, "/").catch((error) => error.code)
    assert.strictEqual(refused, "ECONNREFUSED")
    const answer = get("/", { method: "POST", body: "sent once" })
    // By the time these are answered, the one above was refused.
    for (let at = 0; at < 20; at += 1) await get("/", { host: "other.localhost" })
    late.listen(address.port, "127.0.0.1")
    assert.strictEqual((await answer).text, "late")
    assert.strictEqual(body, "sent once")
  })

  it("brings its services back by itself and holds the first requests for them", async () => {
    const { control, harness, nodeKey } = await setUp()
    const release = await processRelease(nodeKey, 1, { GREETING: "kept" })
    await control.snapshot(stageOf(5, [release], 1))
    await control.state(release.release, "healthy")
    await harness.restart()
    const answers = await Promise.all(Array.from({ length: 10 }, () => harness.get("/")))
    assert.deepEqual([...new Set(answers.map(({ text }) => text))], ["v1"])
    const hello = await harness.control.hello(1)
    assert.deepInclude(hello, { epoch: 1, revision: 1, nodeKey })
    const route = await harness.control.until("route", is("route"))
    assert.deepEqual([route.generation, route.release], [5, idOf("rel", 1)])
  })

  it("answers 503 with a time to come back when the start takes longer than patience", async () => {
    const { control, get, nodeKey } = await setUp({ holdMs: 50 })
    const release = await processRelease(nodeKey, 1, { BROKEN: "silent" })
    await control.snapshot(stageOf(1, [release], 1))
    const json = await get("/")
    assert.strictEqual(json.status, 503)
    assert.strictEqual(json.headers["retry-after"], "2")
    assert.strictEqual(JSON.parse(json.text).error.code, "starting")
    const page = await get("/", { headers: { accept: "text/html" } })
    assert.include(page.text, 'http-equiv="refresh"')
  })

  it("answers 502 with the code when the live release failed, and tries it again", async () => {
    const { control, get, home, nodeKey } = await setUp()
    const flag = join(home, "works")
    const release = await processRelease(nodeKey, 1)
    const { workload } = release
    assert(workload.kind === "process")
    const start = `sh -c 'test -e ${flag} && exec node SampleApp.mjs'`
    const flaky = { ...release, workload: { ...workload, start } }
    await control.snapshot(stageOf(1, [flaky], 1))
    await control.state(release.release, "failed")
    const answer = await get("/")
    assert.strictEqual(answer.status, 502)
    assert.strictEqual(JSON.parse(answer.text).error.code, "exited")
    await writeFile(flag, "")
    await control.state(release.release, "healthy")
    assert.strictEqual((await get("/")).text, "v1")
  })

  it("moves its port when control asks for another one, and says why when it can't", async () => {
    const { control, edge, nodeKey } = await setUp()
    await control.snapshot(stageOf(1, [await processRelease(nodeKey, 1)], 1))
    await control.state(idOf("rel", 1), "healthy")
    const oldPort = edge.appsPort
    const held = await dial(oldPort)
    held.write("GET /held?key=a HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await held.until("200 OK")

    const blocker = createServer().listen(0, "127.0.0.1")
    onTestFinished(() => void blocker.close())
    await new Promise((resolve) => blocker.once("listening", resolve))
    const address = blocker.address()
    assert(typeof address === "object" && address !== null)
    const stays = await control.hello(1, address.port)
    assert.strictEqual(stays.appsPort, oldPort)
    assert.include(stays.problem ?? "", String(address.port))
    assert.strictEqual((await askEdge(oldPort, "/")).text, "v1")

    await new Promise((resolve) => blocker.close(resolve))
    const moved = await control.hello(1, address.port)
    assert.deepInclude(moved, { appsPort: address.port, problem: null })
    assert.strictEqual((await askEdge(address.port, "/")).text, "v1")
    const refused = await askEdge(oldPort, "/").catch((error) => error.code)
    assert.strictEqual(refused, "ECONNREFUSED")
    await askEdge(address.port, "/release?key=a:finished")
    await held.until("finished")
    await askEdge(address.port, "/release?key=a:end")
    await held.closed()
  })
})
