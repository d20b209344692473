import { once } from "node:events"
import { readFile } from "node:fs/promises"
import { connect } from "node:net"
import { afterAll, assert, beforeAll, describe, it, onTestFinished } from "vitest"
import {
  askEdge,
  dial,
  eventually,
  type Harness,
  idOf,
  processRelease,
  stageOf,
  startHarness
} from "./testing/EdgeHarness.ts"

let harness: Harness
let port = 0
beforeAll(async () => {
  harness = await startHarness()
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

describe("trailers", () => {
  it("go both ways, without those that could change how a message is read", async () => {
    const connection = await raw(
      `POST /trailers HTTP/1.1\r\n${host}TE: trailers\r\nTrailer: X-Check\r\n` +
        "Transfer-Encoding: chunked\r\n\r\n" +
        "5\r\nhello\r\n0\r\nX-Check: ok\r\nAuthorization: me\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
    )
    const text = await connection.until("\r\n0\r\nX-Sum: 42\r\n\r\n")
    assert.include(text, 'trailers":["X-Check","ok"]')
    assert.match(text, /"Trailer","X-Check"/u)
    assert.match(text, /^Trailer: X-Sum\r$/mu)
    assert.notInclude(text, "stolen")
    // The connection is in step: the next answer is the next one.
    connection.write(`GET / HTTP/1.1\r\n${host}\r\n`)
    await connection.until("v1")
  })

  it("are left out where an answer has no chunks", async () => {
    const head = await raw(`HEAD /trailers HTTP/1.1\r\n${host}Connection: close\r\n\r\n`)
    const answer = await head.closed()
    assert.include(answer, "200 OK")
    assert.notInclude(answer, "X-Sum")
    const old = await raw(`GET /trailers HTTP/1.0\r\n${host}\r\n`)
    const text = await old.closed()
    assert.include(text, '{"trailers":[]')
    assert.notInclude(text, "X-Sum")
  })
})

describe("answers before the answer", () => {
  it("are passed on, without fields of the connection", async () => {
    const connection = await raw(`GET /hints HTTP/1.1\r\n${host}\r\n`)
    const text = await connection.until("v1")
    const [processing = "", hints = "", answer = ""] = text.split("\r\n\r\n")
    assert.match(processing, /^HTTP\/1\.1 102 /u)
    assert.match(hints, /^HTTP\/1\.1 103 Early Hints\r\n/u)
    assert.match(hints, /^link: <\/style\.css>; rel=preload; as=style$/imu)
    assert.match(hints, /^x-early: 1$/imu)
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/u)
  })

  it("are kept from a client that does not know them", async () => {
    const old = await raw(`GET /hints HTTP/1.0\r\n${host}\r\n`)
    assert.match(await old.closed(), /^HTTP\/1\.1 200 OK\r\n/u)
  })
})

describe("large bodies", () => {
  const total = 200 * 1024 * 1024
  const held = 24 * 1024 * 1024

  it("wait at the sender when the process does not read", async () => {
    const socket = connect(port, "127.0.0.1")
    onTestFinished(() => void socket.destroy())
    await once(socket, "connect")
    socket.write(`POST /slow-upload?key=up HTTP/1.1\r\n${host}Content-Length: ${total}\r\n\r\n`)
    const block = Buffer.alloc(1024 * 1024)
    const sent = await sendUntilStuck(socket, block, total)
    assert.isBelow(sent, held)
    let text = ""
    socket.setEncoding("latin1").on("data", (chunk) => {
      text += chunk
    })
    await askEdge(port, "/release?key=up:go")
    for (let left = total - sent; left > 0; left -= block.length) {
      if (!socket.write(block.subarray(0, left))) await once(socket, "drain")
    }
    await eventually("the answer", () => text.endsWith("read"))
  })

  it("wait at the process when the client does not read", async () => {
    const socket = connect(port, "127.0.0.1")
    onTestFinished(() => void socket.destroy())
    await once(socket, "connect")
    socket.pause()
    const [pid = 0] = harness.processes.alive()
    const before = await bytesWritten(pid)
    socket.write(`GET /download HTTP/1.1\r\n${host}\r\n`)
    // What it has written does not move any more: all buffers on the way are full.
    let written = -1
    await eventually("it is stuck", async () => {
      const last = written
      written = await bytesWritten(pid)
      await new Promise((resolve) => setTimeout(resolve, 50))
      return written > before && written === last
    })
    assert.isBelow(written - before, held)
    let bytes = 0
    socket.on("data", (chunk) => {
      bytes += chunk.length
    })
    socket.resume()
    await eventually("all of it", () => bytes > 50 * 1024 * 1024)
  })
})

/** Bytes that were taken before nothing was taken for a while. */
const sendUntilStuck = async (
  socket: ReturnType<typeof connect>,
  block: Buffer,
  limit: number
): Promise<number> => {
  let sent = 0
  while (sent < limit) {
    const free = socket.write(block)
    sent += block.length
    if (free) continue
    const drained = once(socket, "drain").then(() => true)
    const stuck = new Promise<false>((resolve) => setTimeout(() => resolve(false), 300))
    if (!(await Promise.race([drained, stuck]))) break
  }
  return sent
}

const bytesWritten = async (pid: number): Promise<number> =>
  Number(/^wchar: (\d+)$/mu.exec(await readFile(`/proc/${pid}/io`, "utf8"))?.[1] ?? 0)
