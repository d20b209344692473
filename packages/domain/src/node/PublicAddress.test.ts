import { assert, describe, it } from "vitest"
import { parseIpAddress } from "./IpAddress.ts"
import { isPublicAddress } from "./PublicAddress.ts"

describe("a public address", () => {
  it.each([
    ...["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "128.0.0.1"],
    ...["168.63.129.15", "168.63.129.17", "169.253.255.255", "172.15.255.255", "172.32.0.0"],
    ...["192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255"],
    ...["2606:4700:4700::1111", "2001:200::1", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888"],
    // Through a NAT64, and as IPv6 sockets write it.
    ...["64:ff9b::8.8.8.8", "64:ff9b::808:808", "::ffff:8.8.8.8", "::ffff:808:808"]
  ])("is %s", (address) => assert.isTrue(isPublicAddress(address)))

  it.each([
    ...["0.0.0.0", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1"],
    ...["168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192"],
    ...["192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255"],
    ...["198.51.100.1", "203.0.113.80", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
    // Loopback, unspecified, IPv4-compatible.
    ...["::1", "::", "::127.0.0.1", "::8.8.8.8"],
    // Link-local, site-local, unique local (a cloud's metadata too), multicast.
    ...["fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"],
    // An IPv4 address in it: mapped, translated, NAT64, 6to4, Teredo.
    ...["::ffff:10.0.0.1", "::ffff:a00:1", "::FFFF:7f00:1", "0:0:0:0:0:ffff:127.0.0.1"],
    ...["::ffff:0:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8"],
    ...["2002:7f00:1::", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    // Documentation, benchmarks, discard, segment routing.
    ...["2001:db8::1", "3fff::1", "2001:2::1", "2001:20::1", "100::1", "5f00::1", "4000::1"]
  ])("is not %s", (address) => {
    assert.isNotNull(parseIpAddress(address))
    assert.isFalse(isPublicAddress(address))
  })

  it.each([
    ...["", "localhost", "010.0.0.1", "1.2.3", "1.2.3.4.5", "0x7f.1", "127.1", "2130706433"],
    ...["8.8.8.8 ", "8.8.8.256", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::1"],
    ...["::1.2.3", "2606:4700::g", ":1::", "1:2:3:4:5:6:7::8", "[2606:4700::1]"]
  ])("is not %j, which is no address", (text) => {
    assert.isNull(parseIpAddress(text))
    assert.isFalse(isPublicAddress(text))
  })
})
