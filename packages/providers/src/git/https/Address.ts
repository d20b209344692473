/** Which servers may be spoken to: those with a public name, at an address of the public internet. */
import { BlockList, isIPv4, isIPv6 } from "node:net"

/**
 * Names of two labels or more, the last one not a number: so nothing that a resolver could read as
 * an address (`127.1`, `0x7f.1`), no `localhost`, nothing that starts with `-`.
 */
export const isHostName = (name: string): boolean =>
  name.length <= 253 &&
  /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/u.test(name)

/** Everything that isn't known to be public is refused, also what can't be read as an address. */
export const isPublic = (address: string): boolean =>
  isIPv4(address)
    ? !special.check(address, "ipv4")
    : isIPv6(address) &&
      !address.includes("%") &&
      global.check(address, "ipv6") &&
      !special.check(address, "ipv6")

/** IPv6 gives addresses to the internet from this range only; IPv4 in disguise lies outside. */
const global = new BlockList()
global.addSubnet("2000::", 3, "ipv6")

const special = new BlockList()
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  // Carriers; a cloud's metadata service lies in there too.
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  // A cloud's own services at a public address.
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  // Multicast, reserved, broadcast.
  ["224.0.0.0", 3]
] as const) {
  special.addSubnet(network, bits, "ipv4")
}
for (const [network, bits] of [
  // Teredo and other tunnels, which carry an IPv4 address of anybody's choice.
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20]
] as const) {
  special.addSubnet(network, bits, "ipv6")
}
