import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type EgressEdge, openEgressEdge, withoutRules } from "./EgressEdge.ts"
import {
  canMakeEgressWorlds,
  type EgressWorld,
  hostAddress,
  openEgressWorld,
  publicAddress,
  refusedAddresses
} from "./EgressWorld.ts"
import { eventually } from "./TestEdge.ts"

const inWorlds = () => {
  let world: EgressWorld
  beforeAll(async () => {
    world = await openEgressWorld()
    await world.boot()
  })
  afterAll(async () => {
    await world.close()
  })

  const nft = (...words: ReadonlyArray<string>) => world.host("nft", ...words)
  let edge: EgressEdge
  beforeAll(async () => {
    edge = await openEgressEdge(world, { reach: "public", allow: [] })
    await edge.breakIn("nft", "flush", "ruleset")
  })
  afterAll(() => edge.close())

  it("still reaches the internet", async () => {
    assert.strictEqual(await edge.reach(publicAddress), hostAddress)
  })

  it.each(refusedAddresses)("refuses the %s address %s", async (_, address, range) => {
    assert.strictEqual(await edge.call(address), "silence")
    const element = ["inet", edge.table, "refused", `{ ${range} }`]
    await nft("delete", "element", ...element)
    const reached = await edge.reach(address).finally(() => nft("add", "element", ...element))
    assert.strictEqual(reached, hostAddress)
  })

  it("refuses the host at all of its addresses, except for names", async () => {
    const gateway = /via ([\d.]+)/.exec(await edge.breakIn("ip", "route"))?.[1] ?? ""
    for (const address of [hostAddress, gateway]) {
      assert.strictEqual(await edge.call(address, 8081), "silence", address)
      const ranges = address === gateway ? [/10\.231\.0\.0/, /@refused/] : []
      const reached = await withoutRules(
        world,
        edge.table,
        "judge",
        [/fib daddr type/, ...ranges],
        () => edge.reach(address, 8081)
      )
      assert.strictEqual(reached, "the host", address)
    }
  })

  it("refuses the host's loopback, also to who routes it here", async () => {
    await edge.breakIn("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    const gateway = /via ([\d.]+)/.exec(await edge.breakIn("ip", "route"))?.[1] ?? ""
    await edge.breakIn("ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local")
    await edge.breakIn("ip", "route", "add", "127.0.0.2/32", "via", gateway)
    // The kernel refuses it too, unless it is told not to.
    const link = await linkOf(edge)
    await world.host("sysctl", "-qw", `net.ipv4.conf.${link}.route_localnet=1`)
    assert.strictEqual(await edge.call("127.0.0.2", 8081), "silence")
    const reached = await withoutRules(
      world,
      edge.table,
      "judge",
      [/fib daddr type/, /@refused/],
      () => edge.reach("127.0.0.2", 8081)
    )
    assert.strictEqual(reached, "the host")
  })

  it("refuses IPv6 of every kind", async () => {
    const link = await linkOf(edge)
    // The host turns IPv6 off on these links as well; here it is on.
    await world.host("sysctl", "-qw", `net.ipv6.conf.${link}.disable_ipv6=0`)
    await world.host("ip", "-6", "address", "add", "fd99::1/64", "dev", link, "nodad")
    await edge.breakIn("ip", "-6", "address", "add", "fd99::2/64", "dev", "eth0", "nodad")
    await world.host(
      "ip",
      "-6",
      "neigh",
      "add",
      "fd99::2",
      "lladdr",
      await macIn(edge),
      "dev",
      link
    )
    await edge.breakIn(
      ...["ip", "-6", "neigh", "add", "fd99::1", "lladdr", await macOf(link), "dev", "eth0"]
    )
    await world.host("nft", "add", "table", "inet", "watch")
    await watch("incoming", "input", "ip6 daddr fd99::1 udp dport 4242")
    await sendFrom(edge, "fd99::2", "fd99::1")
    assert.strictEqual(await watched("incoming"), 0)
    await withoutRules(world, edge.table, "judge", [/ipv6 drop/, /fib daddr type/], () =>
      sendFrom(edge, "fd99::2", "fd99::1")
    )
    assert.strictEqual(await watched("incoming", 1), 1)
    await nft("delete", "table", "inet", "watch")
  })

  it("refuses a lie about the sender", async () => {
    await edge.breakIn("ip", "address", "add", "10.231.250.250/32", "dev", "lo")
    await world.host("nft", "add", "table", "inet", "watch")
    await watch("leaving", "postrouting", "ip daddr 93.184.216.34 udp dport 4242")
    await sendFrom(edge, "10.231.250.250", publicAddress)
    assert.strictEqual(await watched("leaving"), 0)
    await withoutRules(world, edge.table, "judge", [/fib saddr/], () =>
      sendFrom(edge, "10.231.250.250", publicAddress)
    )
    assert.strictEqual(await watched("leaving", 1), 1)
    await nft("delete", "table", "inet", "watch")
  })

  it("refuses multicast", async () => {
    await world.host("nft", "add", "table", "inet", "watch")
    await watch("passed", "prerouting", "ip daddr 224.0.0.251 udp dport 4242")
    await sendFrom(edge, edge.endpoint.host, "224.0.0.251")
    assert.strictEqual(await watched("passed"), 0)
    await withoutRules(world, edge.table, "judge", [/fib daddr type/, /@refused/], () =>
      sendFrom(edge, edge.endpoint.host, "224.0.0.251")
    )
    assert.strictEqual(await watched("passed", 1), 1)
    await nft("delete", "table", "inet", "watch")
  })

  it("lets no neighbour of the host come to a service or ask for names", async () => {
    const { host, port } = edge.endpoint
    const call = async (address: string, at: number, patience: number) =>
      (
        await world.internet(process.execPath, "-e", neighbour, address, String(at), `${patience}`)
      ).trim()
    assert.strictEqual(await call(host, port, 400), "silence")
    const two = [/^oifname "[^"]*" drop/, /@guarded ct state new/]
    const reached = await withoutRules(world, edge.table, "forward", two, () =>
      call(host, port, 5000)
    )
    assert.strictEqual(reached, "connected")
    const listed = await nft("list", "chain", "inet", edge.table, "resolve")
    const [, resolver = "", at = ""] = /tcp dport 53 dnat ip to ([\d.]+):(\d+)/.exec(listed) ?? []
    assert.strictEqual(await call(resolver, Number(at), 400), "silence")
    const asked = await withoutRules(world, edge.table, "incoming", [/ip daddr/], () =>
      call(resolver, Number(at), 5000)
    )
    assert.strictEqual(asked, "connected")
  })

  it("makes the host no router for its neighbours", async () => {
    await world.host("ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1")
    await world.host("ip", "address", "add", "81.81.81.1/24", "dev", "other0")
    await world.host("ip", "link", "set", "other0", "up")
    await world.host("ip", "link", "set", "other1", "up")
    await world.internet("ip", "route", "add", "81.81.81.0/24", "via", hostAddress)
    await world.host("nft", "add", "table", "inet", "watch")
    await watch("leaving", "postrouting", 'oifname "other0" ip daddr 81.81.81.9')
    await world.host(
      "ip",
      "neigh",
      "add",
      "81.81.81.9",
      "lladdr",
      "02:00:00:00:00:01",
      "dev",
      "other0"
    )
    const send = () => world.internet(process.execPath, "-e", sender, "80.80.80.1", "81.81.81.9")
    await send()
    assert.strictEqual(await watched("leaving"), 0)
    await withoutRules(world, edge.table, "forward", [/@guarded ct state new/], send)
    assert.strictEqual(await watched("leaving", 1), 1)
    await nft("delete", "table", "inet", "watch")
    await world.host("ip", "link", "del", "other0")
  })

  const linkOf = async ({ endpoint }: EgressEdge) => {
    const routes = await world.host("ip", "-o", "-4", "route", "get", endpoint.host)
    return / dev (\S+)/.exec(routes)?.[1] ?? ""
  }
  const macOf = async (link: string) =>
    (await world.host("ip", "-o", "link", "show", link)).match(/link\/ether (\S+)/)?.[1] ?? ""
  const macIn = async (edge: EgressEdge) =>
    (await edge.breakIn("ip", "-o", "link", "show", "eth0")).match(/link\/ether (\S+)/)?.[1] ?? ""
  /** Counts what comes to a place behind the rules. */
  const watch = async (chain: string, hook: string, match: string) => {
    const priority = hook === "prerouting" ? -140 : 300
    const base = `{ type filter hook ${hook} priority ${priority} ; }`
    await nft("add", "chain", "inet", "watch", chain, base)
    await nft("add", "rule", "inet", "watch", chain, ...match.split(" "), "counter")
  }
  /** Packets until now, or from the moment that there are so many: delivery takes a while. */
  const watched = (chain: string, atLeast = 0) =>
    eventually(async () => {
      const text = await nft("list", "chain", "inet", "watch", chain)
      const count = Number(/packets (\d+)/.exec(text)?.[1])
      return count >= atLeast ? count : null
    })
  /** One datagram, as root in the service's own network. */
  const sendFrom = (edge: EgressEdge, from: string, to: string) =>
    edge.breakIn(process.execPath, "-e", sender, from, to)
}

describe("the host's rules about services", () => {
  if (canMakeEgressWorlds) inWorlds()
  else it.skip("cannot be tried here", () => {})
})

const sender = `
const [from, to] = process.argv.slice(1)
const socket = require("node:dgram").createSocket(from.includes(":") ? "udp6" : "udp4")
socket.bind(0, from, () => socket.send("?", 4242, to, (error) => {
  if (error) throw error
  socket.close()
}))`

const neighbour = `
const [host, port, patience] = process.argv.slice(1)
const socket = require("node:net").connect({ host, port: Number(port) })
const end = (word) => (console.log(word), process.exit())
setTimeout(() => end("silence"), Number(patience))
socket.once("connect", () => end("connected"))
socket.once("error", (error) => end(error.code))`
