import { networkInterfaces } from "node:os"
import { assert, describe, it } from "vitest"
import { type Address, makeJudge, type Network } from "./Judge.ts"
import { problemOfHosts, registriesOf } from "./Registries.ts"

const four = (...addresses: ReadonlyArray<string>): ReadonlyArray<Address> =>
  addresses.map((address) => ({ address, family: 4 }))

const names: Readonly<Record<string, ReadonlyArray<Address>>> = {
  "public.test": four("93.184.216.34"),
  "inside.test": four("10.0.0.7"),
  "both.test": four("10.0.0.7", "93.184.216.34")
}
const asked: Array<string> = []
const judge = (network: Network, hosts: ReadonlyArray<string> = []) =>
  makeJudge(
    { network, named: registriesOf(["http://127.0.0.9:4873/npm/"], hosts) },
    async (host) => {
      asked.push(host)
      return names[host] ?? []
    }
  )

describe("a build's call is judged", () => {
  const refused = [
    ...["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::"],
    ...["10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "168.63.129.16"],
    ...[
      "fe80::1",
      "fd00:ec2::254",
      "64:ff9b::a00:1",
      "2002:a00:1::",
      "224.0.0.1",
      "255.255.255.255"
    ],
    "inside.test"
  ]
  for (const host of refused) {
    it(`and ${host} is refused`, async () => {
      assert.property(await judge("public")(host, 80), "refused")
    })
  }

  it("and this machine's own addresses are refused", async () => {
    for (const { address } of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) {
      assert.property(await judge("public")(address, 80), "refused")
    }
  })

  it("and only public addresses of a name are connected to", async () => {
    assert.deepStrictEqual(await judge("public")("both.test", 443), {
      addresses: four("93.184.216.34")
    })
    assert.deepStrictEqual(await judge("public")("PUBLIC.test.", 443), {
      addresses: four("93.184.216.34")
    })
    const [six] = ["2606:2800:220:1::1"]
    assert.deepStrictEqual(await judge("public")(six, 443), {
      addresses: [{ address: six, family: 6 }]
    })
  })

  it("and what is no name is not looked up", async () => {
    asked.length = 0
    for (const host of ["nowhere.test", "a b", "", "-", "x".repeat(254), "a..b"]) {
      assert.property(await judge("public")(host, 80), "unknown")
    }
    assert.deepStrictEqual(asked, ["nowhere.test", "-"])
  })

  it("and the operator's registry may be anywhere, at its port alone", async () => {
    for (const network of ["public", "registries"] as const) {
      const found = await judge(network)("127.0.0.9", 4873)
      assert.deepStrictEqual(found, { addresses: four("127.0.0.9") })
      assert.property(await judge(network)("127.0.0.9", 80), "refused")
    }
  })

  it("and registries alone are not the internet, whose hosts can be allowed", async () => {
    asked.length = 0
    assert.property(await judge("registries")("public.test", 443), "refused")
    assert.property(await judge("registries")("93.184.216.34", 443), "refused")
    assert.deepStrictEqual(asked, [])
    const allowed = await judge("registries", ["93.184.216.34", "[2001:db8::1]:80"])
    assert.property(await allowed("93.184.216.34", 443), "addresses")
    assert.property(await allowed("93.184.216.34", 80), "refused")
    assert.property(await allowed("2001:db8::1", 80), "addresses")
  })

  it("by hosts that are written as they must be", () => {
    assert.isNull(problemOfHosts(["npm.example.com", "10.0.0.5:4873", "[2001:db8::1]:443"]))
    for (const host of ["http://npm.example.com", "NPM", "a:b", "*.example.com", "a/8"]) {
      assert.include(problemOfHosts([host]) ?? "", host)
    }
  })
})
