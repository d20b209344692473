/** Addresses as numbers, whatever way they are written; an IPv4 address in the clothes of IPv6 is itself. */

export interface IpAddress {
  readonly family: 4 | 6
  readonly value: bigint
}

/** Null: not an address, or not written as one must be (`010.0.0.1` and `1.2.3` mean different things to different readers). */
export const parseIpAddress = (text: string): IpAddress | null => {
  const address = text.includes(":") ? parseSix(text) : parseFour(text)
  return address && undress(address)
}

export interface IpRange extends IpAddress {
  readonly bits: number
}

/** Reads `10.0.0.0/8` or `2001:db8::/32`. */
export const ipRange = (text: string): IpRange => {
  const [address = "", bits] = text.split("/")
  const parsed = address.includes(":") ? parseSix(address) : parseFour(address)
  if (parsed === null || bits === undefined) throw new Error(`${text} is no range of addresses`)
  return { ...parsed, bits: Number(bits) }
}

export const isWithin = (address: IpAddress, range: IpRange): boolean => {
  const rest = BigInt((range.family === 4 ? 32 : 128) - range.bits)
  return address.family === range.family && address.value >> rest === range.value >> rest
}

const parseFour = (text: string): IpAddress | null => {
  const parts = text.split(".")
  if (parts.length !== 4 || parts.some((part) => !/^(0|[1-9]\d{0,2})$/u.test(part))) return null
  if (parts.some((part) => Number(part) > 255)) return null
  return { family: 4, value: BigInt(parts.reduce((sum, part) => sum * 256 + Number(part), 0)) }
}

const parseSix = (text: string): IpAddress | null => {
  // `%eth0` says through which link; it changes nothing about what the address is.
  const [plain = ""] = text.split("%")
  const [left, right, ...more] = plain.split("::")
  if (left === undefined || more.length > 0) return null
  const head = groups(left)
  const tail = right === undefined ? [] : groups(right)
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  if (right === undefined ? missing !== 0 : missing < 1) return null
  const all = [...head, ...Array.from({ length: missing }, () => 0n), ...tail]
  return { family: 6, value: all.reduce((sum, group) => (sum << 16n) + group, 0n) }
}

const groups = (text: string): ReadonlyArray<bigint> | null => {
  if (text === "") return []
  const words = text.split(":")
  const last = words.at(-1) ?? ""
  const four = last.includes(".") ? parseFour(last) : null
  if (last.includes(".") && four === null) return null
  const hex = four ? words.slice(0, -1) : words
  if (hex.some((word) => !/^[\da-f]{1,4}$/iu.test(word))) return null
  const end = four ? [four.value >> 16n, four.value & 0xffffn] : []
  return [...hex.map((word) => BigInt(`0x${word}`)), ...end]
}

/** IPv4-mapped, and what a NAT64 makes of an IPv4 address: both lead to that address. */
const dresses = [ipRange("::ffff:0:0/96"), ipRange("64:ff9b::/96")]

const undress = (address: IpAddress): IpAddress =>
  dresses.some((range) => isWithin(address, range))
    ? { family: 4, value: address.value & 0xffff_ffffn }
    : address
