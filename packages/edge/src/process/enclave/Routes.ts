/**
 * Where packets go in a service's own network: nowhere but to sockets of the edge. Every address that
 * may be called is a local one there, so that the kernel itself hands the call to the edge with the
 * address that was meant. What is refused has no way, and is refused at once.
 */
import { type EgressPolicy, slotRange } from "@deploy-mcp/domain/node/EgressPolicy"
import { ipRange, isWithin } from "@deploy-mcp/domain/node/IpAddress"
import {
  globalSixRange,
  refusedRanges,
  refusedSixRanges
} from "@deploy-mcp/domain/node/PublicAddress"

/** Commands for `ip -batch`, for each family of addresses. */
export interface Routes {
  readonly four: string
  /** Empty where the host has no public address itself: programs would wait for what can't come. */
  readonly six: string
}

/** Without any of them nothing can be called. */
export const noRoutes: Routes = { four: "", six: "" }

export const routesFor = ({ allow, reach }: EgressPolicy, six: boolean): Routes => {
  const allowed = [...new Set(allow.map(({ address, bits }) => `${address}/${bits}`))]
  const open = allowed.map(ipRange)
  const refused = [...refusedRanges, `${slotRange.address}/${slotRange.bits}`].filter(
    (text) =>
      !open.some((range) => range.bits <= ipRange(text).bits && isWithin(ipRange(text), range))
  )
  const isPublic = reach === "public"
  return {
    four: [
      ...(isPublic ? [here("default"), ...refused.map(nowhere)] : []),
      ...allowed.map(here)
    ].join(""),
    six: isPublic && six ? [here(globalSixRange), ...refusedSixRanges.map(nowhere)].join("") : ""
  }
}

/** All addresses lead to the edge's judgement, for the test of it. */
export const allRoutes = (six: boolean): Routes => ({
  four: here("default"),
  six: six ? here("::/0") : ""
})

/** In the main table: the one of local addresses is asked first, whatever is more exact in the other. */
const here = (range: string): string => `route replace local ${range} dev lo table main\n`
const nowhere = (range: string): string => `route replace unreachable ${range}\n`
