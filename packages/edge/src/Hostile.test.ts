/** The corpus of hostile requests against a real edge with a neighbour that must not notice. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import {
  dial,
  endpointRelease,
  type Harness,
  idOf,
  stageOf,
  startHarness
} from "./testing/EdgeHarness.ts"
import { type HostileRequest, hostileRequests } from "./testing/HostileRequests.ts"
import { type StrictService, startStrictService } from "./testing/StrictService.ts"

let harness: Harness
let shop: StrictService
let neighbour: StrictService
let neighbours: Awaited<ReturnType<typeof dial>>

beforeAll(async () => {
  harness = await startHarness()
  shop = await startStrictService("shop")
  neighbour = await startStrictService("neighbour")
  await harness.control.snapshot(
    stageOf(1, [endpointRelease(1, shop.to)], 1),
    stageOf(1, [endpointRelease(2, neighbour.to)], 2, {
      stage: idOf("stg", 2),
      hostnames: ["neighbour"],
      name: "neighbour"
    })
  )
  await harness.control.state(idOf("rel", 2), "healthy")
  await harness.control.state(idOf("rel", 1), "healthy")
  shop.take()
  neighbour.take()
  neighbours = await dial(harness.edge.appsPort)
})
afterAll(async () => {
  neighbours.socket.destroy()
  await harness.close()
  shop.close()
  neighbour.close()
})

const askNeighbour = "GET /neighbour HTTP/1.1\r\nHost: neighbour.localhost\r\n"
const statusesOf = (text: string) =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /gu)].map(([, status]) => Number(status))

/** What the client hears until the connection is over, which it ends itself when it is of use still. */
const heardFrom = async ({ bytes, after }: HostileRequest): Promise<ReadonlyArray<number>> => {
  const client = await dial(harness.edge.appsPort)
  client.socket.write(bytes, "latin1")
  if (after === "open") client.socket.write(`${askNeighbour}Connection: close\r\n\r\n`)
  return statusesOf(await client.closed())
}

describe("a hostile request", () => {
  let asked = 0
  it.each(hostileRequests)("$what", async (hostile) => {
    const heard = await heardFrom(hostile)
    const reached = shop.take()
    assert.deepStrictEqual(shop.takeDoubts(), [])
    const last = hostile.after === "open" ? [200] : []
    assert.deepStrictEqual(heard, [...hostile.answers, ...last])
    assert.strictEqual(reached.length, hostile.reaches, reached.join("\n"))
    for (const request of reached) assert.notMatch(request, /6\.6\.6\.6|smuggled|evil|other/u)

    // The neighbour's own client keeps its connection, and nobody else's words reach it.
    asked += 1
    neighbours.write(`${askNeighbour}\r\n`)
    await neighbours.times("HTTP/1.1 200 OK", asked)
    const seen = neighbour.take()
    assert.strictEqual(seen.length, hostile.after === "open" ? 2 : 1)
    for (const request of seen) assert.match(request, /^GET \/neighbour HTTP\/1\.1\n/u)
    assert.deepStrictEqual(neighbour.takeDoubts(), [])
  })
})
