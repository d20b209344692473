import { mkdtemp, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type EgressPolicy, slotRange } from "@deploy-mcp/domain/node/EgressPolicy"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { type EgressEdge, nameOverTcp, openEgressEdge } from "./EgressEdge.ts"
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
} from "./EgressWorld.ts"
import { linkPrefix } from "./Network.ts"
import { eventually } from "./TestEdge.ts"

const open: EgressPolicy = { reach: "public", allow: [] }

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
  const forwarding = async () =>
    (await world.host("cat", "/proc/sys/net/ipv4/conf/eth0/forwarding")).trim()
  const assertNothingLeft = async (homeId: string) => {
    assert.notInclude(await nft("list", "tables"), "deploy-mcp")
    assert.notInclude(await world.host("ip", "-o", "link"), linkPrefix(homeId))
    assert.notInclude(await world.host("iptables", "-S"), homeId)
    assert.strictEqual(await forwarding(), "0")
    assert.strictEqual(await world.host("ip", "route", "show", "type", "unreachable"), "")
  }

  describe("as it is by default", () => {
    let edge: EgressEdge
    beforeAll(async () => {
      edge = await openEgressEdge(world, open)
    })
    afterAll(async () => {
      await edge.close()
      await assertNothingLeft(edge.homeId)
    })

    it("is no way to a process that has gone", async () => {
      const nobody = `${slotRange.address.replace(/\.0$/u, "")}.1`
      const asked = world.host("ip", "route", "get", nobody)
      assert.match(await asked.catch(String), /unreachable|No route/u)
    })

    it("is said", () => {
      assert.include(edge.notes, "may call the public internet over IPv4")
      assert.notInclude(edge.notes, "find no names")
    })

    it("reaches the public internet under the host's address", async () => {
      assert.strictEqual(await edge.reach(publicAddress), hostAddress)
    })

    it("finds names by the host's resolver, over UDP and TCP", async () => {
      assert.strictEqual(await edge.reach("api.example.test"), hostAddress)
      assert.strictEqual(await edge.ask(nameOverTcp), publicAddress)
    })

    it("says at once what is refused", async () => {
      assert.strictEqual(await edge.call(privateAddress), "ECONNREFUSED")
      assert.strictEqual(await edge.call("169.254.169.254"), "ECONNREFUSED")
    })

    it.each([
      ...[publicSix, ...refusedSix].map((address) => [address, 80] as const),
      ...refusedAddresses.map(([, address]) => [`::ffff:${address}`, 80] as const),
      // The host listens there, on all addresses of both families.
      ...["::1", hostSix, "fe80::1%eth0", "::ffff:127.0.0.1"].map((one) => [one, 8081] as const)
    ])("is refused %s at port %d, over IPv6", async (address, port) => {
      const answer = await edge.call(address, port)
      assert.include(["ENETUNREACH", "EADDRNOTAVAIL", "ECONNREFUSED"], answer, address)
    })

    it("sends no IPv6 to the host, however it sets up its own link", async () => {
      const hostSide = await world.host("cat", "/proc/net/if_inet6")
      assert.notInclude(hostSide, linkPrefix(edge.homeId))
      await edge.breakIn("nft", "flush", "ruleset")
      for (const words of [
        "address add fd00:7::2/64 dev eth0 nodad",
        "route add default dev eth0"
      ]) {
        await edge.breakIn("ip", "-6", ...words.split(" "))
      }
      for (const address of [publicSix, hostSix, "fd00:ec2::254"]) {
        assert.include(["silence", "EHOSTUNREACH"], await edge.call(address, 8081), address)
      }
    })
  })

  describe("with what the operator allows", () => {
    it("reaches that besides, and what names a place on the host itself", async () => {
      const edge = await openEgressEdge(world, {
        reach: "public",
        allow: [
          { address: "10.0.0.0", bits: 8, port: 80 },
          { address: hostAddress, bits: 32, port: 8081 },
          { address: "192.168.9.0", bits: 24, port: null }
        ]
      })
      assert.include(edge.notes, "10.0.0.0/8:80, 80.80.80.2:8081, 192.168.9.0/24")
      assert.strictEqual(await edge.reach(privateAddress), hostAddress)
      assert.strictEqual(await edge.reach("192.168.9.9", 81), "81")
      assert.strictEqual(await edge.reach(hostAddress, 8081), "the host")
      assert.strictEqual(await edge.call(privateAddress, 81), "ECONNREFUSED")
      assert.strictEqual(await edge.call("172.16.9.9"), "ECONNREFUSED")
      const other = await openEgressEdge(world, open)
      const { host, port } = other.endpoint
      assert.strictEqual(await edge.call(host, port), "ECONNREFUSED")
      // A range that holds all services' addresses opens none of them, nor the host at its own.
      await edge.breakIn("nft", "flush", "ruleset")
      assert.strictEqual(await edge.call(host, port), "silence")
      await other.close()
      assert.strictEqual(await edge.reach(publicAddress), hostAddress)
      await edge.close()
      await assertNothingLeft(edge.homeId)
    })

    it("reaches that alone where the internet is refused", async () => {
      const allow = [{ address: privateAddress, bits: 32, port: 80 }]
      const edge = await openEgressEdge(world, { reach: "none", allow })
      assert.strictEqual(await edge.reach(privateAddress), hostAddress)
      assert.strictEqual(await edge.call(publicAddress), "ECONNREFUSED")
      await edge.breakIn("nft", "flush", "ruleset")
      assert.strictEqual(await edge.call(publicAddress), "silence")
      await edge.close()
    })
  })

  it("reaches nothing when that is wanted", async () => {
    const edge = await openEgressEdge(world, { reach: "none", allow: [] })
    assert.include(edge.notes, "DEPLOY_MCP_EGRESS is none")
    assert.include(["ENETUNREACH", "ECONNREFUSED"], await edge.call(publicAddress))
    await edge.breakIn("nft", "flush", "ruleset")
    const gateway = edge.endpoint.host.replace(/\d+$/, (last) => String(Number(last) - 1))
    assert.strictEqual(await edge.call(gateway, 8081), "silence")
    await edge.close()
    await assertNothingLeft(edge.homeId)
  })

  describe("where the host's firewall drops what it doesn't know", () => {
    beforeEach(async () => {
      for (const rule of ["-i lo", "-m conntrack --ctstate RELATED,ESTABLISHED"]) {
        await world.host("iptables", "-A", "INPUT", ...rule.split(" "), "-j", "ACCEPT")
      }
      for (const chain of ["INPUT", "FORWARD"]) await world.host("iptables", "-P", chain, "DROP")
      return async () => {
        for (const chain of ["INPUT", "FORWARD"])
          await world.host("iptables", "-P", chain, "ACCEPT")
        await world.host("iptables", "-F")
      }
    })

    it("is opened for services alone, and closed with them", async () => {
      const edge = await openEgressEdge(world, open)
      assert.notInclude(edge.notes, "find no names")
      assert.strictEqual(await edge.reach("api.example.test"), hostAddress)
      await edge.close()
      await assertNothingLeft(edge.homeId)
    })
  })

  describe("when something is wrong with the rules", () => {
    const broken = async (edit: string) => {
      const programs = await mkdtemp(join(world.folder, "programs-"))
      const script = `#!/bin/sh
        [ "$*" = "-f -" ] || exec /usr/sbin/nft "$@"
        sed '${edit}' | /usr/sbin/nft -f -`
      await writeFile(join(programs, "nft"), script, { mode: 0o755 })
      return await openEgressEdge(world, open, { programs })
    }
    it.each([
      ["can't be loaded", "s/chain judge {/chain fwd in {/", /can't call out: .*nft/],
      ["let private addresses pass", "/ip daddr @refused drop/d", /let \d+ of \d+ refused packets/],
      ["let the host be called", "/fib daddr type/d", /let \d+ of \d+ refused packets pass/],
      ["let liars pass", "/fib saddr/d", /let 1 of \d+ refused packets pass/],
      ["judge nothing", "/jump judge/d", /let \d+ of \d+ refused packets pass/],
      ["let nothing pass", "s/ip daddr @refused drop/drop/", /don't do with public addresses/]
    ])("%s: stays closed and says so", async (_, edit, note) => {
      const edge = await broken(edit)
      assert.match(edge.notes, note)
      assert.include(["ENETUNREACH", "ECONNREFUSED"], await edge.call(publicAddress))
      assert.strictEqual(await forwarding(), "0")
      await edge.close()
      await assertNothingLeft(edge.homeId)
    })
  })

  it("comes back when the host's firewall has dropped all rules, and when its way changes", async () => {
    const edge = await openEgressEdge(world, open)
    const later = (address: string) =>
      eventually(async () => ((await edge.call(address)) === hostAddress ? true : null))
    const rename = async (from: string, to: string) => {
      await world.host("ip", "link", "set", from, "down")
      await world.host("ip", "link", "set", from, "name", to)
      await world.host("ip", "link", "set", to, "up")
      await world.host("ip", "route", "add", "default", "via", "80.80.80.1")
    }
    await nft("flush", "ruleset")
    await later(publicAddress)
    // Its fence stood all the while; now the host refuses again too.
    await edge.breakIn("nft", "flush", "ruleset")
    assert.strictEqual(await edge.call(privateAddress), "silence")
    await world.host("sysctl", "-qw", "net.ipv4.conf.eth0.forwarding=0")
    await rename("eth0", "eth7")
    await later(publicAddress)
    await edge.close()
    await rename("eth7", "eth0")
    await assertNothingLeft(edge.homeId)
  })

  it("is taken away after a crash, by the next edge of the home", async () => {
    const lost = await openEgressEdge(world, open)
    const other = await openEgressEdge(world, open)
    assert.strictEqual(await forwarding(), "1")
    await world.crash()
    assert.include(await nft("list", "tables"), lost.table)
    await world.boot()
    for (const { homeId } of [lost, other]) {
      const heir = await openEgressEdge(world, open, { homeId })
      assert.strictEqual(await heir.reach(publicAddress), hostAddress)
      await heir.close()
    }
    await assertNothingLeft(lost.homeId)
    await assertNothingLeft(other.homeId)
  })
}

describe("services' way to the internet", () => {
  if (canMakeEgressWorlds) inWorlds()
  else it.skip("cannot be tried here", () => {})
})
