import { createHash } from "node:crypto"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import {
  askEdge,
  dial,
  type Harness,
  idOf,
  keepAlive,
  processRelease,
  stageOf,
  startHarness,
  staticRelease
} from "./testing/EdgeHarness.ts"

let harness: Harness
let port = 0
beforeAll(async () => {
  harness = await startHarness()
  const { nodeKey } = await harness.control.hello(1)
  const release = await processRelease(nodeKey, 1)
  const other = stageOf(1, [staticRelease(2, import.meta.dirname)], null, {
    stage: idOf("stg", 2),
    hostnames: ["later"],
    name: "later"
  })
  await harness.control.snapshot(
    stageOf(1, [release], 1, { hostnames: ["shop", "www-shop"] }),
    other
  )
  await harness.control.state(release.release, "healthy")
  port = harness.edge.appsPort
})
afterAll(() => harness.close())

const ask = (path: string, options?: Parameters<typeof askEdge>[2]) => askEdge(port, path, options)
const raw = async (text: string) => {
  const connection = await dial(port)
  connection.write(text)
  return connection
}
const fieldsOf = (text: string): Map<string, string> => {
  const { fields } = JSON.parse(text)
  const map = new Map<string, string>()
  for (let at = 0; at < fields.length; at += 2) map.set(fields[at].toLowerCase(), fields[at + 1])
  return map
}

describe("hosts", () => {
  it("finds a stage by its exact host, in any case, with port and trailing dot", async () => {
    for (const host of [
      "shop.localhost",
      "SHOP.LocalHost:8080",
      "shop.localhost.",
      "www-shop.localhost"
    ]) {
      assert.strictEqual((await ask("/", { host })).text, "v1", host)
    }
  })

  it("answers 404 for any other host, for people and for programs", async () => {
    for (const host of [
      "nope.localhost",
      "localhost",
      "a.shop.localhost",
      "shop.localhost.evil.test"
    ]) {
      const answer = await ask("/", { host })
      assert.strictEqual(answer.status, 404, host)
      const { error } = JSON.parse(answer.text)
      assert.deepEqual(Object.keys(error), ["code", "message", "next"])
      assert.strictEqual(error.code, "no_such_host")
      assert.include(error.message, host)
    }
    const page = await ask("/", {
      host: "nope.localhost",
      headers: { accept: "text/html,application/xhtml+xml" }
    })
    assert.strictEqual(page.headers["content-type"], "text/html; charset=utf-8")
    assert.include(page.text, "<h1>Nothing is deployed here</h1>")
    const odd = await raw("GET / HTTP/1.1\r\nHost: <b>x\r\nAccept: text/html\r\n\r\n")
    assert.notInclude(await odd.until("</html>"), "<b>")
    odd.socket.destroy()
  })

  it("says so when nothing of a service is live yet", async () => {
    const answer = await ask("/", { host: "later.localhost" })
    assert.strictEqual(answer.status, 503)
    assert.strictEqual(JSON.parse(answer.text).error.code, "not_live")
  })
})

describe("fields", () => {
  it("drops those of the connection, believes no client, and keeps the rest", async () => {
    const answer = await ask("/fields?a=%2F..&b", {
      host: "Shop.localhost:8080",
      headers: {
        connection: "keep-alive, X-Secret-Hop",
        "x-secret-hop": "1",
        te: "trailers, gzip;q=0.5",
        "proxy-connection": "keep-alive",
        "keep-alive": "timeout=5",
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-proto": "https",
        "x-forwarded-port": "1",
        forwarded: "for=6.6.6.6",
        "x-real-ip": "6.6.6.6",
        "x-kept": "yes"
      }
    })
    const fields = fieldsOf(answer.text)
    assert.strictEqual(JSON.parse(answer.text).url, "/fields?a=%2F..&b")
    assert.strictEqual(fields.get("host"), "Shop.localhost:8080")
    assert.strictEqual(fields.get("x-kept"), "yes")
    assert.strictEqual(fields.get("x-forwarded-for"), "127.0.0.1")
    assert.strictEqual(fields.get("x-forwarded-proto"), "http")
    assert.strictEqual(fields.get("x-forwarded-host"), "Shop.localhost:8080")
    for (const name of ["x-secret-hop", "proxy-connection", "keep-alive", "forwarded"]) {
      assert.isFalse(fields.has(name), name)
    }
    assert.isFalse(fields.has("x-real-ip"))
    assert.strictEqual(fields.get("te"), "trailers")
    assert.strictEqual(fields.get("connection"), "keep-alive, TE")
    assert.isFalse(fields.has("x-forwarded-port"))
    assert.strictEqual(answer.headers["x-keep-me"], "1")
    assert.notProperty(answer.headers, "x-drop-me")
    assert.notStrictEqual(answer.headers["keep-alive"], "timeout=9")
  })

  it("refuses what two readers could read differently", async () => {
    const host = "Host: shop.localhost\r\n"
    const cases = [
      `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      `GET / HTTP/1.1\r\n${host}Host: other.localhost\r\n\r\n`,
      `GET / HTTP/1.1\r\n${host}Bad Name: x\r\n\r\n`,
      "GET / HTTP/1.1\r\n\r\n",
      `GET http://other.localhost/ HTTP/1.1\r\n${host}\r\n`
    ]
    for (const request of cases) {
      const connection = await raw(request)
      assert.include(await connection.until("\r\n\r\n"), "HTTP/1.1 400", request)
      connection.socket.destroy()
    }
    const large = await raw(`GET / HTTP/1.1\r\n${host}X: ${"x".repeat(20_000)}\r\n\r\n`)
    await large.until("HTTP/1.1 431")
    large.socket.destroy()
  })

  it("gives a method with an empty body no chunked one", async () => {
    const connection = await raw("POST /fields HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    const text = await connection.until("Content-Length")
    assert.notInclude(text, 'chunked"')
    connection.socket.destroy()
  })
})

describe("bodies", () => {
  it("carries 50 MB up and down unchanged", async () => {
    const body = Buffer.alloc(50 * 1024 * 1024, "the quick brown fox ")
    const sum = (data: Buffer) => createHash("sha256").update(data).digest("hex")
    const up = await ask("/hash", { method: "POST", body })
    assert.strictEqual(up.text, `${body.length} ${sum(body)}`)
    const down = await ask("/download")
    const expected = Buffer.alloc(50 * 1024 * 1024, "0123456789abcdef")
    assert.strictEqual(sum(down.body), sum(expected))
  })

  it("hands chunks on one by one, the head before the first of them", async () => {
    const connection = await raw("GET /held?key=sse HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await connection.until("200 OK")
    for (const part of ["one", "two", "three"]) {
      await ask(`/release?key=sse:${part}`)
      await connection.until(part)
    }
    await ask("/release?key=sse:end")
    await connection.until("0\r\n\r\n")
    connection.socket.destroy()
  })

  it("asks the process whether a body may come", async () => {
    const head = "POST /hash HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 5\r\n"
    const patient = await raw(`${head}Expect: 100-continue\r\n\r\n`)
    await patient.until("100 Continue")
    patient.write("hello")
    await patient.until(`5 ${createHash("sha256").update("hello").digest("hex")}`)
    patient.socket.destroy()
  })

  it("tells the process when the client has left", async () => {
    const connection = await raw("GET /held?key=gone HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    await connection.until("200 OK")
    connection.socket.destroy()
    await harness.control.logLine(idOf("stg", 1), "aborted gone")
  })

  it("shows a cut answer as cut", async () => {
    const outcome = await ask("/half").catch((error) => error.code)
    assert.strictEqual(outcome, "ECONNRESET")
  })

  it("keeps a connection usable when the answer came before the whole body", async () => {
    const agent = keepAlive()
    const body = Buffer.alloc(4 * 1024 * 1024)
    const early = await ask("/early", { method: "POST", body, agent }).catch((error) => error)
    // The process may close the connection before it has read everything; then so do we.
    if ("status" in early) assert.strictEqual(early.status, 413)
    assert.strictEqual((await ask("/", { agent })).text, "v1")
    agent.destroy()
  })
})

describe("connections to the process", () => {
  it("are tried again when a kept one was closed under a request without a body", async () => {
    for (let at = 0; at < 5; at += 1) {
      assert.strictEqual((await ask("/once")).text, "v1")
      assert.strictEqual((await ask("/")).text, "v1")
    }
  })

  it("give a readable 502 when the process hangs up", async () => {
    const answer = await ask("/cut")
    assert.strictEqual(answer.status, 502)
    assert.strictEqual(JSON.parse(answer.text).error.code, "connection_closed")
    const page = await ask("/cut", { headers: { accept: "text/html" } })
    assert.include(page.text, "<!doctype html>")
  })
})

describe("upgrades", () => {
  const upgrade = (to: string, more = "") =>
    raw(
      `GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: ${to}\r\n\r\n${more}`
    )

  it("carry bytes both ways, also those that came too early", async () => {
    const connection = await upgrade("echo", "early")
    const text = await connection.until("early")
    assert.include(text, "HTTP/1.1 101 Switching Protocols\r\n")
    assert.include(text, "X-Name: v1\r\n")
    connection.write("later")
    await connection.until("later")
    connection.socket.end()
    await connection.closed()
  })

  it("that the process refuses are refused, and the connection ends", async () => {
    const connection = await upgrade("other")
    await connection.until("426")
    assert.include(await connection.closed(), "Connection: close")
  })

  it("to h2c are an offer that is passed over", async () => {
    const connection = await upgrade("h2c")
    await connection.until("v1")
    connection.socket.destroy()
  })

  it("for unknown hosts end with a readable answer", async () => {
    const connection = await raw(
      "GET / HTTP/1.1\r\nHost: no.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )
    assert.include(await connection.closed(), "no_such_host")
  })
})
