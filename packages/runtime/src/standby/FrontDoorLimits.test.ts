/** Clients that take their time at the front door, over real sockets. */
import { once } from "node:events"
import { connect } from "node:net"
import { text } from "node:stream/consumers"
import { Effect } from "effect"
import { afterEach, assert, describe, it } from "vitest"
import { FrontDoor, type FrontDoorLimits } from "./FrontDoor.ts"

let close = (): void => {}
afterEach(() => close())

/** The door reads what it is sent and answers with how much that was. */
const start = async (limits: Partial<FrontDoorLimits>): Promise<number> => {
  const { server } = await Effect.runPromise(
    FrontDoor.pipe(Effect.provide(FrontDoor.layer(0, limits)))
  )
  close = () => {
    server.close()
    server.closeAllConnections()
  }
  server.on("request", async (request, response) => {
    const body = await text(request).catch(() => null)
    if (body !== null) response.end(`read ${body.length}`)
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Sends `part` again and again until the connection is over, and tells what came back. */
const drip = async (port: number, head: string, part: string): Promise<string> => {
  const socket = connect(port, "127.0.0.1")
  socket.on("error", () => {})
  socket.write(head)
  const timer = setInterval(() => socket.write(part), 20)
  const answer = await text(socket)
  clearInterval(timer)
  return answer
}

const post = (path: string, length: number) =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`

describe("a client that takes its time", () => {
  it("is left before its head is complete", async () => {
    const port = await start({ headMs: 250 })
    assert.include(await drip(port, "POST / HTTP/1.1\r\nX: ", "x"), "HTTP/1.1 408 ")
  })

  it("is left in the middle of its body, unless it pushes", async () => {
    const port = await start({ bodyMs: 200, bodyBytesPerSecond: 1_000 })
    const push = drip(port, post("/git/a/b.git/git-receive-pack", 60), "x")
    assert.include(await drip(port, post("/api/v1/whoami", 1_000_000), "x"), "HTTP/1.1 408 ")
    assert.include(await push, "read 60")
  })

  it("is left in the middle of a push that has stalled", async () => {
    const port = await start({ pushMs: 200, bodyBytesPerSecond: 1_000 })
    const chunked = post("/git/a/b.git/git-receive-pack", 1_000_000)
    assert.include(await drip(port, chunked, "x"), "HTTP/1.1 408 ")
  })

  it("is answered when it is slow but sure", async () => {
    const port = await start({ bodyMs: 200, bodyBytesPerSecond: 1_000 })
    assert.include(
      await drip(port, post("/api/v1/whoami", 30_000), "x".repeat(1_000)),
      "read 30000"
    )
  })
})
