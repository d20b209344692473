/** Which addresses are the public internet; everybody else's, this host's and nobody's are not. */
import { type IpAddress, ipRange, isWithin, parseIpAddress } from "./IpAddress.ts"

/** IPv4 that is not public. */
export const refusedRanges: ReadonlyArray<string> = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  // Carriers; a cloud's metadata service lies in there too.
  "100.64.0.0/10",
  "127.0.0.0/8",
  // A cloud's own services at a public address.
  "168.63.129.16/32",
  // Link-local: most clouds' metadata services.
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  // Multicast, reserved, broadcast.
  "224.0.0.0/3"
]

const refusedFour = refusedRanges.map(ipRange)

/** All IPv6 that was ever given to networks; loopback, private, link-local and multicast lie outside. */
export const globalSixRange = "2000::/3"
const globalSix = ipRange(globalSixRange)

/** Exceptions in it. */
export const refusedSixRanges: ReadonlyArray<string> = [
  // Protocols' own: Teredo, which carries an IPv4 address, benchmarks, ORCHID.
  "2001::/23",
  "2001:db8::/32",
  // 6to4: carries an IPv4 address, through relays that are gone.
  "2002::/16",
  "3fff::/20"
]
const refusedSix = refusedSixRanges.map(ipRange)

/** False as well for what is no address. */
export const isPublicAddress = (text: string): boolean => {
  const address = parseIpAddress(text)
  return address !== null && isPublic(address)
}

export const isPublic = (address: IpAddress): boolean =>
  address.family === 4
    ? !refusedFour.some((range) => isWithin(address, range))
    : isWithin(address, globalSix) && !refusedSix.some((range) => isWithin(address, range))
