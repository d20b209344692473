import { chmod, mkdtemp, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type EgressPolicy, slotRange } from "@deploy-mcp/domain/node/EgressPolicy"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type EgressEdge, nameOverTcp, openEgressEdge } from "../EgressEdge.ts"
import {
  canMakeEgressWorlds,
  type EgressWorld,
  hostAddress,
  hostSix,
  openEgressWorld,
  privateAddress,
  publicAddress,
  publicSix,
  refusedAddresses,
  refusedSix
} from "../EgressWorld.ts"
import { eventually } from "../TestEdge.ts"

const inWorlds = () => {
  let world: EgressWorld
  beforeAll(async () => {
    world = await openEgressWorld({ unprivileged: true })
    await world.boot()
  })
  afterAll(async () => {
    await world.close()
  })
  describe("as it is by default", () => {
    let edge: EgressEdge
    beforeAll(async () => {
      edge = await openEgressEdge(world, { reach: "public", allow: [] })
    })
    afterAll(() => edge.close())

    it("is said", () => {
      assert.include(
        edge.notes,
        "may call the public internet over IPv4 and IPv6 through the platform"
      )
      assert.notInclude(edge.notes, "share the host's network")
    })

    it("reaches the public internet under the host's address", async () => {
      assert.strictEqual(await edge.reach(publicAddress), hostAddress)
      assert.strictEqual(await edge.reach(publicSix), hostSix)
      assert.strictEqual(await edge.reach("api.example.test"), hostAddress)
    })

    it("finds names over TCP too", async () => {
      assert.strictEqual(await edge.ask(nameOverTcp), publicAddress)
    })

    it.each([
      ...refusedAddresses.map(([, address]) => address),
      ...refusedAddresses.map(([, address]) => `::ffff:${address}`),
      ...refusedSix,
      slotRange.address
    ])("has no way to %s", async (address) => {
      assert.include(["EHOSTUNREACH", "ENETUNREACH"], await edge.call(address))
    })

    it.each(["127.0.0.1", "::1", hostAddress, hostSix])("is not joined to %s", async (address) => {
      assert.strictEqual(await edge.call(address, 8081), "ECONNREFUSED")
      // Where a socket of the edge waits, the edge says no.
      assert.strictEqual(await edge.call(address, 443), "ECONNRESET")
    })

    it("calls usual ports alone", async () => {
      assert.strictEqual(await edge.call(publicAddress, 81), "ECONNREFUSED")
    })

    it("hears the answer although it has ended its half of the connection", async () => {
      assert.strictEqual(await edge.ask(endAtOnce(publicAddress)), hostAddress)
    })

    it("sends nothing by UDP", async () => {
      assert.strictEqual(await edge.ask(questionTo(publicAddress)), "ECONNREFUSED")
    })

    it("is apart from another one with the same port", async () => {
      const other = await openEgressEdge(world, { reach: "public", allow: [] })
      assert.deepStrictEqual(other.endpoint.port, edge.endpoint.port)
      await other.close()
      assert.strictEqual(await edge.reach(publicAddress), hostAddress)
    })
  })

  it("reaches what the operator allows besides, at a port of its own too", async () => {
    const edge = await openEgressEdge(world, {
      reach: "public",
      allow: [
        { address: "10.0.0.0", bits: 8, port: 81 },
        { address: hostAddress, bits: 32, port: 8081 },
        { address: "192.168.9.0", bits: 24, port: null }
      ]
    })
    assert.include(edge.notes, "10.0.0.0/8:81, 80.80.80.2:8081, 192.168.9.0/24")
    assert.strictEqual(await edge.reach(privateAddress, 81), "81")
    assert.strictEqual(await edge.reach("192.168.9.9"), hostAddress)
    assert.strictEqual(await edge.reach(hostAddress, 8081), "the host")
    assert.strictEqual(await edge.reach(publicAddress), hostAddress)
    assert.strictEqual(await edge.call(privateAddress), "ECONNRESET")
    assert.strictEqual(await edge.call("172.16.9.9"), "EHOSTUNREACH")
    await edge.close()
  })

  it("can call nothing for a while when it calls without pause, and then again", async () => {
    const edge = await openEgressEdge(world, { reach: "public", allow: [] })
    await edge.ask(callUntilClosed)
    assert.match((await edge.said()).join(), /more than 1000 times a second: nothing can be called/)
    assert.strictEqual(await edge.call(publicAddress), "ECONNREFUSED")
    assert.strictEqual(await edge.call("api.example.test"), "EAI_AGAIN")
    await eventually(async () => ((await edge.call(publicAddress)) === hostAddress ? true : null))
    assert.strictEqual(await edge.reach("api.example.test"), hostAddress)
    await edge.close()
  })

  it("reaches that alone where the internet is refused", async () => {
    const allow = [{ address: privateAddress, bits: 32, port: 80 }]
    const edge = await openEgressEdge(world, { reach: "none", allow })
    assert.strictEqual(await edge.reach(privateAddress), hostAddress)
    assert.strictEqual(await edge.call(publicAddress), "ENETUNREACH")
    await edge.close()
  })

  it("reaches nothing when that is wanted", async () => {
    const edge = await openEgressEdge(world, { reach: "none", allow: [] })
    assert.include(edge.notes, "DEPLOY_MCP_EGRESS is none")
    assert.strictEqual(await edge.call(publicAddress), "ENETUNREACH")
    assert.strictEqual(await edge.call("127.0.0.1", 8081), "ECONNREFUSED")
    await edge.close()
  })

  it("is the host's where it can't be made, for the platform's own owner alone", async () => {
    const programs = await mkdtemp(join(world.folder, "programs-"))
    await chmod(programs, 0o755)
    await writeFile(join(programs, "ip"), "#!/bin/sh\necho no routes >&2; exit 1\n", {
      mode: 0o755
    })
    await chmod(join(programs, "ip"), 0o755)
    const policy: EgressPolicy = { reach: "public", allow: [] }
    const edge = await openEgressEdge(world, policy, { programs })
    assert.match(edge.notes, /No network of their own for processes: no routes/)
    assert.include(edge.notes, "share the host's network: they reach whatever the host reaches")
    await edge.close()
    // Another owner's service could be called there.
    const homeId = "5tranger"
    const stranger = openEgressEdge(world, policy, { programs, tenant: 1, homeId })
    assert.match(await stranger.then(() => "it runs", String), /no_sandbox/)
    await world.tell({ act: "close", homeId })
  })
}
describe("the network of a service of an edge without rights", () => {
  if (canMakeEgressWorlds) inWorlds()
  else it.skip("cannot be tried here", () => {})
})

const endAtOnce = (address: string) => `
return await new Promise((resolve) => {
  let said = ""
  const options = { host: "${address}", port: 80, allowHalfOpen: true }
  const socket = require("node:net").connect(options, () => socket.end())
  socket.on("data", (chunk) => { said += chunk })
  socket.once("error", (error) => resolve(error.code))
  socket.once("end", () => resolve(said))
})`

/** Calls what the edge refuses until there is nobody to refuse it. */
const callUntilClosed = `
const call = () => new Promise((over) =>
  require("node:net").connect(443, "127.0.0.1").on("error", (error) => over(error.code)))
for (let round = 0; round < 300; round++) {
  const told = await Promise.all(Array.from({ length: 100 }, call))
  if (told.includes("ECONNREFUSED")) return
}`

const questionTo = (address: string) => `
return await new Promise((resolve) => {
  const socket = require("node:dgram").createSocket("udp4")
  socket.once("error", (error) => resolve(error.code))
  socket.connect(53, "${address}", () => socket.send("?"))
  setTimeout(() => resolve("silence"), 1000)
})`
