/** What one client or one service may take of the edge, over real sockets, and that others go on meanwhile. */
import { once } from "node:events"
import { createServer, type Socket } from "node:net"
import { afterEach, assert, describe, it } from "vitest"
import type { Limits } from "./Limits.ts"
import { dial, endpointRelease, idOf, stageOf, startHarness } from "./testing/EdgeHarness.ts"

/** Takes connections, reads nothing unless it is told to, and answers when it is told to. */
const startHoldingService = async () => {
  const waiting: Array<Socket> = []
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    waiting.push(socket.on("error", () => {}))
    server.emit("held")
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    to: { kind: "endpoint", host: "127.0.0.1", port } as const,
    holds: async (count: number) => {
      while (waiting.length < count) await once(server, "held")
    },
    answerAll: () => {
      for (const socket of waiting.splice(0)) {
        socket.resume().end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
      }
    },
    close: () => {
      server.close()
      for (const socket of waiting) socket.destroy()
    }
  }
}

const start = async (limits: Partial<Limits>) => {
  const harness = await startHarness({ limits })
  const shop = await startHoldingService()
  await harness.control.snapshot(
    stageOf(1, [endpointRelease(1, shop.to)], 1),
    stageOf(
      1,
      [{ release: idOf("rel", 2), workload: { kind: "static", root: import.meta.dirname } }],
      2,
      {
        stage: idOf("stg", 2),
        hostnames: ["neighbour"],
        name: "neighbour"
      }
    )
  )
  await harness.control.state(idOf("rel", 1), "healthy")
  await harness.control.state(idOf("rel", 2), "healthy")
  closing.push(harness.close, async () => shop.close())
  const port = harness.edge.appsPort
  return {
    shop,
    from: (address: string) => dial(port, address),
    ask: async (bytes: string, address?: string) => {
      const client = await dial(port, address)
      client.write(bytes)
      return client
    }
  }
}

const closing: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const hold = "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"
const neighbour = "GET /main.ts HTTP/1.1\r\nHost: neighbour.localhost\r\nConnection: close\r\n\r\n"
const upload = "POST / HTTP/1.1\r\nHost: shop.localhost\r\n"
const notShared = { isShared: () => false }

describe("requests at a time", () => {
  it("of one service are bounded, and other services do not notice", async () => {
    const { ask, shop } = await start({ perService: 2 })
    const held = [await ask(hold), await ask(hold)]
    await shop.holds(2)
    const refused = await (await ask(hold)).closed()
    assert.include(refused, "HTTP/1.1 503 ")
    assert.include(refused, "retry-after: 1")
    assert.include(refused, '"code":"busy"')
    const upgrade = await ask(
      "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )
    assert.include(await upgrade.closed(), "HTTP/1.1 503 ")
    assert.include(await (await ask(neighbour)).closed(), "HTTP/1.1 200 ")

    shop.answerAll()
    for (const each of held) assert.include(await each.closed(), "HTTP/1.1 200 ")
    const next = await ask(hold)
    await shop.holds(1)
    shop.answerAll()
    assert.include(await next.closed(), "HTTP/1.1 200 ")
  })

  it("of clients that leave are given back", async () => {
    const { ask, shop } = await start({ perService: 1 })
    const gone = await ask(hold)
    await shop.holds(1)
    gone.socket.destroy()
    let answer = ""
    while (!answer.includes("HTTP/1.1 200 ")) {
      const next = await ask(hold)
      const over = next.closed()
      await Promise.race([over, shop.holds(2).then(shop.answerAll)])
      answer = await over
    }
  })

  it("from one address are bounded, and other addresses do not notice", async () => {
    const { ask, shop } = await start({ ...notShared, perAddress: 2 })
    const held = [await ask(hold), await ask(hold)]
    await shop.holds(2)
    const refused = await (await ask(neighbour)).closed()
    assert.include(refused, "HTTP/1.1 429 ")
    assert.include(refused, "retry-after: 1")
    assert.include(refused, '"code":"rate_limited"')
    assert.include(await (await ask(neighbour, "127.0.0.2")).closed(), "HTTP/1.1 200 ")
    shop.answerAll()
    for (const each of held) await each.closed()
    assert.include(await (await ask(neighbour)).closed(), "HTTP/1.1 200 ")
  })
})

describe("connections", () => {
  it("from one address are bounded, and other addresses do not notice", async () => {
    const { ask, from } = await start({ ...notShared, connectionsPerAddress: 2 })
    const idle = [await from("127.0.0.1"), await from("127.0.0.1")]
    const refused = await (await from("127.0.0.1")).closed()
    assert.match(refused, /^HTTP\/1\.1 429 .*Retry-After: 1\r\n/su)
    assert.include(await (await ask(neighbour, "127.0.0.2")).closed(), "HTTP/1.1 200 ")
    for (const each of idle) each.socket.destroy()
  })

  it("in all are bounded", async () => {
    const { from } = await start({ connections: 2 })
    const idle = [await from("127.0.0.1"), await from("127.0.0.1")]
    assert.strictEqual(await (await from("127.0.0.1")).closed(), "")
    for (const each of idle) each.socket.destroy()
  })
})

describe("clients that take their time", () => {
  it("lose the connection before a head is complete", async () => {
    const { ask, from } = await start({ headMs: 250 })
    const dripping = await ask("GET / HTTP/1.1\r\nHost: shop")
    const drip = setInterval(() => dripping.write("p"), 20)
    assert.include(await dripping.closed(), "HTTP/1.1 408 ")
    clearInterval(drip)
    const silent = await from("127.0.0.1")
    await silent.closed()
  })

  it("lose the connection when a body drips, and one that the service is slow to read does not", async () => {
    const { ask, shop } = await start({ bodyMs: 400, bodyBytesPerSecond: 1_000 })
    const blocked = await ask(`${upload}Connection: close\r\nContent-Length: 20000000\r\n\r\n`)
    blocked.write("x".repeat(20_000_000))
    await shop.holds(1)
    const dripping = await ask(`${upload}Content-Length: 1000\r\n\r\n`)
    const drip = setInterval(() => dripping.write("x"), 20)
    assert.include(await dripping.closed(), "HTTP/1.1 408 ")
    clearInterval(drip)
    shop.answerAll()
    assert.include(await blocked.closed(), "HTTP/1.1 200 ")
  })

  it("lose the connection when a body of unknown length does not end", async () => {
    const { ask, shop } = await start({ bodyBytes: 1_000, bodyMs: 400 })
    const endless = await ask(`${upload}Transfer-Encoding: chunked\r\n\r\n`)
    await shop.holds(1)
    const flood = setInterval(() => endless.write(`400\r\n${"x".repeat(1_024)}\r\n`), 20)
    assert.include(await endless.closed(), "HTTP/1.1 413 ")
    clearInterval(flood)
    const declared = await ask(`${upload}Content-Length: 1001\r\n\r\n`)
    assert.include(await declared.closed(), "HTTP/1.1 413 ")
  })
})
