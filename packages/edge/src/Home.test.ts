import { once } from "node:events"
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import { claimHome, HomeIsHeld, releaseSocket } from "./Home.ts"

describe("a home", () => {
  it("has one edge, however many come at once, also over a dead socket", async () => {
    const home = await mkdtemp(join(tmpdir(), "edge-home-"))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    for (let round = 0; round < 10; round += 1) {
      const servers = Array.from({ length: 6 }, () => createServer((socket) => socket.destroy()))
      const claims = await Promise.allSettled(servers.map((server) => claimHome(home, server)))
      const [winner, ...others] = claims.filter((claim) => claim.status === "fulfilled")
      assert.isDefined(winner)
      assert.deepEqual(others, [])
      for (const claim of claims) {
        if (claim.status === "rejected") assert.instanceOf(claim.reason, HomeIsHeld)
      }
      await winner?.value.leave()
      for (const server of servers) releaseSocket(home, () => server.close())
    }
  })

  it("is not taken from an edge that answers but holds no lock that we see", async () => {
    const home = await mkdtemp(join(tmpdir(), "edge-home-"))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    await mkdir(join(home, "run"))
    const other = createServer((socket) => socket.destroy()).listen(join(home, "run/edge.sock"))
    await once(other, "listening")
    onTestFinished(() => void other.close())
    const claim = await claimHome(home, createServer()).catch((error: unknown) => error)
    assert.instanceOf(claim, HomeIsHeld)
  })

  it("is waited for while its edge is ending", async () => {
    const home = await mkdtemp(join(tmpdir(), "edge-home-"))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    const first = createServer()
    const held = await claimHome(home, first)
    releaseSocket(home, () => first.close())
    const second = createServer()
    const claim = claimHome(home, second)
    const early = await Promise.race([claim.then(() => "claimed"), held.vanished, tick()])
    assert.strictEqual(early, "still waiting")
    await held.leave()
    await (await claim).leave()
    releaseSocket(home, () => second.close())
  })
})

const tick = async (): Promise<string> => {
  for (let at = 0; at < 20; at += 1) await new Promise((resolve) => setImmediate(resolve))
  return "still waiting"
}
