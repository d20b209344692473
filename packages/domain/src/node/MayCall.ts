/** The judgement about one call, in the order of the rules that root has in the kernel. */
import { type AllowedRange, type EgressPolicy, slotRange } from "./EgressPolicy.ts"
import { ipRange, isWithin, parseIpAddress } from "./IpAddress.ts"
import { isPublic } from "./PublicAddress.ts"

/**
 * Whether the address and port may be called; `own` are this host's addresses. Judge what a name
 * resolved to and connect to that same address: asked again, a name may give another answer.
 */
export const mayCall = (
  policy: EgressPolicy,
  address: string,
  port: number,
  own: ReadonlyArray<string> = []
): boolean => {
  const called = parseIpAddress(address)
  if (called === null) return false
  const named = policy.allow.filter(
    (range) => isWithin(called, rangeOf(range)) && (range.port ?? port) === port
  )
  // Only what names one address and one port may be on this host: a whole range would open all of it.
  if (named.some((range) => range.bits === 32 && range.port !== null)) return true
  const isOwn = own.some((one) => {
    const parsed = parseIpAddress(one)
    return parsed?.family === called.family && parsed.value === called.value
  })
  if (isOwn || isWithin(called, slots)) return false
  return named.length > 0 || (policy.reach === "public" && isPublic(called))
}

const rangeOf = ({ address, bits }: Pick<AllowedRange, "address" | "bits">) =>
  ipRange(`${address}/${bits}`)

const slots = rangeOf(slotRange)
