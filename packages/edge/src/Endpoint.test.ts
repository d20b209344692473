import { spawn } from "node:child_process"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { createInterface } from "node:readline"
import type { ReleaseId } from "@deploy-mcp/domain/model/Ids"
import { assert, describe, it, onTestFinished } from "vitest"
import {
  askEdge,
  dial,
  endpointRelease,
  eventually,
  idOf,
  is,
  keepAlive,
  openControl,
  stageOf,
  startHarness
} from "./testing/EdgeHarness.ts"
import { startElsewhere } from "./testing/Elsewhere.ts"

const setUp = async (...args: Parameters<typeof startHarness>) => {
  const harness = await startHarness(...args)
  onTestFinished(harness.close)
  const ingress = await openControl(harness.home, "ingress")
  onTestFinished(ingress.close)
  await ingress.hello(1)
  return { ...harness, ingress }
}

const elsewhere = async (name: string) => {
  const app = await startElsewhere(name)
  onTestFinished(app.stop)
  return app
}

describe("an endpoint", () => {
  it("is served as soon as it is told, and again after a restart of the edge", async () => {
    const harness = await startHarness()
    onTestFinished(harness.close)
    const there = await elsewhere("there")
    await harness.control.snapshot(stageOf(1, [there.as(1)], 1))
    assert.strictEqual((await harness.get("/")).text, "there")
    const told = await harness.control.state(idOf("rel", 1), "healthy")
    assert.strictEqual(told.port, there.to.port)
    await harness.restart()
    assert.strictEqual((await harness.get("/")).text, "there")
    assert.deepEqual(harness.processes.alive(), [])
  })

  it("fails no request of 16 keep-alive clients while releases and addresses change", async () => {
    const { edge, ingress } = await setUp()
    const [a, b] = [await elsewhere("a"), await elsewhere("b")]
    await ingress.snapshot(stageOf(1, [a.as(1)], 1))
    let live = ["a"]
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
        const fits = answer.status === 200 && [...allowed, ...live].includes(answer.text)
        if (!fits) bad.push(`${answer.status} ${answer.text}`)
      }
      agent.destroy()
    }
    const clients = Array.from({ length: 16 }, client)
    for (let generation = 2; generation < 22; generation += 1) {
      const from = served
      await eventually("clients are served", () => served > from + 16)
      const name = generation % 2 === 0 ? "b" : "a"
      live = ["a", "b"]
      // Every third time it is the same release, elsewhere.
      const number = generation % 3 === 0 ? generation - 1 : generation
      await ingress.put(stageOf(generation, [(name === "b" ? b : a).as(number)], number))
      live = [name]
    }
    done = true
    await Promise.all(clients)
    assert.deepEqual(bad, [])
  })

  it("keeps slow answers and upgraded connections until they end, then lets it go", async () => {
    const { edge, get, ingress } = await setUp()
    const [old, next] = [await elsewhere("old"), await elsewhere("next")]
    await ingress.snapshot(stageOf(1, [old.as(1)], 1))
    const slow = await dial(edge.appsPort)
    slow.write("GET /held?key=slow HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await slow.until("200 OK")
    const echo = await dial(edge.appsPort)
    echo.write(upgrade)
    await echo.until("X-Name: old")

    await ingress.put(stageOf(2, [next.as(2)], 2))
    assert.strictEqual((await get("/")).text, "next")
    echo.write("still here")
    await echo.until("still here")
    await askEdge(old.to.port, "/release?key=slow:streamed")
    await slow.until("streamed")
    assert.notExists(ingress.received.find(is("release", ({ state }) => state === "stopped")))
    await askEdge(old.to.port, "/release?key=slow:end")
    await slow.until("\r\n0\r\n")
    echo.socket.destroy()
    await ingress.state(idOf("rel", 1), "stopped")
  })

  it("keeps an upgraded connection when the same release moves to another address", async () => {
    const { edge, get, ingress } = await setUp()
    const [here, there] = [await elsewhere("here"), await elsewhere("there")]
    await ingress.snapshot(stageOf(1, [here.as(1)], 1))
    const echo = await dial(edge.appsPort)
    echo.write(upgrade)
    await echo.until("X-Name: here")
    await ingress.put(stageOf(2, [there.as(1)], 1))
    assert.strictEqual((await get("/")).text, "there")
    echo.write("and I stay")
    await echo.until("and I stay")
  })

  it("is answered for with 502 while nobody listens, and comes back by itself", async () => {
    const { edge, get, ingress } = await setUp({ holdMs: 150 })
    const app = await elsewhere("app")
    await ingress.snapshot(stageOf(1, [app.as(1)], 1))
    const agent = keepAlive()
    onTestFinished(() => agent.destroy())
    assert.strictEqual((await get("/", { agent })).text, "app")
    for (const _ of ["once", "again"]) {
      await app.stop()
      const down = await get("/", { agent })
      assert.deepEqual(
        [down.status, JSON.parse(down.text).error.code],
        [502, "unreachable"],
        down.text
      )
      const socket = await dial(edge.appsPort)
      socket.write(upgrade)
      await socket.until("502 Bad Gateway")
      await app.start()
      assert.strictEqual((await get("/", { agent })).text, "app")
    }
    assert.notExists(ingress.received.find(is("release", ({ state }) => state === "failed")))
  })

  it("holds requests for one that is not there yet, until it is or another one is told", async () => {
    const { get, ingress } = await setUp({ holdMs: 30_000 })
    const [app, next] = [await elsewhere("app"), await elsewhere("next")]
    await app.stop()
    await ingress.snapshot(stageOf(1, [app.as(1)], 1))
    const held = get("/", { method: "POST", body: "sent once" })
    await get("/", { host: "nobody.localhost" })
    await app.start()
    assert.strictEqual((await held).text, "app")
    await app.stop()
    const waiting = get("/")
    await get("/", { host: "nobody.localhost" })
    await ingress.put(stageOf(2, [next.as(2)], 2))
    assert.strictEqual((await waiting).text, "next")
  })

  it("is not waited for when it neither accepts nor refuses", async () => {
    const { edge, get, ingress } = await setUp({ connectMs: 50, holdMs: 100 })
    const hole = await startHole()
    await ingress.snapshot(stageOf(1, [endpointRelease(1, hole)], 1))
    const answer = await get("/")
    assert.strictEqual(answer.status, 502)
    assert.strictEqual(JSON.parse(answer.text).error.code, "unreachable")
    const socket = await dial(edge.appsPort)
    socket.write(upgrade)
    await socket.until("502 Bad Gateway")
  })

  it("is refused when it is no address, and so is an image", async () => {
    const { control, get } = await setUp()
    const named = { kind: "endpoint", host: "db.internal", port: 80 } as const
    await control.snapshot(stageOf(1, [endpointRelease(1, named)], 1))
    const refused = await control.state(idOf("rel", 1), "failed")
    assert.include(refused.failure?.cause, "db.internal")
    const answer = await get("/")
    assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [502, "start_failed"])
    const image = {
      kind: "image",
      image: "shop:1",
      start: null,
      variables: null,
      port: null,
      healthPath: null,
      memory: 64,
      cpu: 1,
      startTimeout: 1_000
    } as const
    const release = { release: idOf<ReleaseId>("rel", 2), workload: image }
    await control.snapshot(stageOf(2, [release], 2))
    const failed = await control.state(release.release, "failed")
    assert.include(failed.failure?.cause, "no containers")
    assert.strictEqual((await get("/")).status, 502)
  })
})

const upgrade =
  "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

/** A server that is stopped with its backlog full: whoever connects hears nothing. */
const startHole = async () => {
  const program = `const s = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 },
    () => console.log(s.address().port))`
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] })
  const sockets: Array<Socket> = []
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    child.kill("SIGKILL")
    await once(child, "exit")
  })
  const [line] = await once(createInterface(child.stdout), "line")
  child.kill("SIGSTOP")
  const to = { kind: "endpoint", host: "127.0.0.1", port: Number(line) } as const
  await eventually("the backlog is full", async () => {
    const socket = connect(to.port, to.host).on("error", () => {})
    sockets.push(socket)
    const { promise, resolve } = Promise.withResolvers<boolean>()
    socket.once("connect", () => resolve(false))
    setTimeout(() => resolve(true), 200)
    return await promise
  })
  return to
}
