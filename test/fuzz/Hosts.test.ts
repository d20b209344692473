/** Hosts and targets as they come over the wire: one exact table decides, and nothing else is served. */
import {
  askEdge,
  dial,
  type Harness,
  idOf,
  stageOf,
  startHarness,
  staticRelease
} from "@deploy-mcp/edge/testing/EdgeHarness"
import * as fc from "fast-check"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { holds, patience } from "./Law.ts"
import { bytes, word } from "./Words.ts"

let harness: Harness
beforeAll(async () => {
  harness = await startHarness()
  await harness.control.snapshot(stageOf(1, [staticRelease(1, import.meta.dirname)], 1))
  await harness.control.state(idOf("rel", 1), "healthy")
})
afterAll(() => harness.close())

const hosts = fc.oneof(
  word,
  fc
    .tuple(fc.constantFrom("shop.localhost", "SHOP.Localhost", "shop"), word)
    .map(([host, more]) => host + more),
  fc.tuple(word, fc.constant("shop.localhost")).map(([more, host]) => more + host)
)

const statusOf = async (request: string): Promise<number> => {
  const client = await dial(harness.edge.appsPort)
  client.socket.write(request, "latin1")
  const answer = await client.closed()
  return Number(/^HTTP\/1\.1 (\d{3})/u.exec(answer)?.[1] ?? 0)
}

describe("the apps' door", () => {
  it(
    "serves a service to its own host only",
    () =>
      holds(hosts, async (host) => {
        const field = bytes(host)
        const status = await statusOf(
          `GET /Hosts.test.ts HTTP/1.1\r\nHost: ${field}\r\nConnection: close\r\n\r\n`
        )
        const isOurs = /^[ \t]*shop\.localhost\.?(?::\d{1,5})?[ \t]*(?:\r\n|$)/iu.test(field)
        assert.oneOf(status, isOurs ? [200, 400, 431] : [400, 404, 431])
        if (isOurs && !/[\r\n]/u.test(field)) assert.strictEqual(status, 200)
      }),
    patience
  )

  it(
    "answers any target with what the site has, or a refusal",
    () =>
      holds(word, async (path) => {
        const target = bytes(path)
        const status = await statusOf(
          `GET /${target} HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n`
        )
        assert.oneOf(status, [200, 301, 308, 400, 404, 431], JSON.stringify(target))
        if (status === 200) assert.notInclude(target, "..")
      }),
    patience
  )

  it("is there still", async () => {
    assert.strictEqual((await askEdge(harness.edge.appsPort, "/Hosts.test.ts")).status, 200)
  })
})
