/** What services may call: the public internet or nothing, and what the operator allows besides. */
import { ipRange, isWithin, parseIpAddress } from "./IpAddress.ts"

export interface EgressPolicy {
  readonly reach: "public" | "none"
  readonly allow: ReadonlyArray<AllowedRange>
}

/** A range of IPv4 addresses that services may call although it is not public. */
export interface AllowedRange {
  readonly address: string
  /** Length of the prefix: 32 is this one address. */
  readonly bits: number
  /** Null: all ports. */
  readonly port: number | null
}

/** Where the edge gives addresses to services; none of them may call another one there. */
export const slotRange = { address: "10.231.0.0", bits: 16 } as const

/** Reads `10.0.0.0/8, 192.168.1.5:5432`; or says which entry can't be used, and why. */
export const parseAllowedRanges = (
  text: string
): { readonly ranges: ReadonlyArray<AllowedRange>; readonly problem: string | null } => {
  const ranges: Array<AllowedRange> = []
  const entries = text.split(/[\s,]+/u).filter((entry) => entry !== "")
  for (const entry of entries) {
    const found = readRange(entry)
    if (typeof found === "string") return { ranges: [], problem: `${entry}: ${found}` }
    ranges.push(found)
  }
  return { ranges, problem: null }
}

const readRange = (entry: string): AllowedRange | string => {
  const parts = /^([\d.]+)(?:\/(\d{1,2}))?(?::(\d{1,5}))?$/u.exec(entry)
  const address = parts?.[1] === undefined ? null : parseIpAddress(parts[1])
  if (!parts || address === null) {
    return "must be an IPv4 address or range, with a port if you like, as in 10.0.0.5:5432 or 10.1.0.0/16"
  }
  const bits = parts[2] === undefined ? 32 : Number(parts[2])
  const port = parts[3] === undefined ? null : Number(parts[3])
  if (bits < 8 || bits > 32) return "the prefix must be from /8 to /32"
  if (port !== null && (port < 1 || port > 65_535)) return "the port must be from 1 to 65535"
  if (Number(address.value) % 2 ** (32 - bits) !== 0) {
    return `the address is not the first one of its /${bits}`
  }
  const range = { ...address, bits }
  const unusable = never.find((one) => isWithin(one.range, range) || isWithin(range, one.range))
  if (unusable) return unusable.why
  return { address: parts[1] ?? "", bits, port }
}

const never = [
  { range: ipRange("0.0.0.0/8"), why: "this range is no address of anybody" },
  {
    range: ipRange("127.0.0.0/8"),
    why: "a service's loopback is its own, never this machine's"
  },
  { range: ipRange("224.0.0.0/3"), why: "multicast and reserved addresses can't be called" }
]
