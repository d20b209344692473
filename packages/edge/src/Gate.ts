/** Lets as many requests and tunnels in at a time as one service and one address may have. */
import type { ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import type { StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { makeCounts } from "./Counts.ts"
import type { Limits } from "./Limits.ts"
import { busy, type Page, tooMany } from "./Pages.ts"

export interface Gate {
  /** Null: it is in until `client` is closed. A page: there is no room for it. */
  readonly enter: (spec: StageSpec, address: string, client: ServerResponse | Duplex) => Page | null
}

export const makeGate = ({ isShared, perAddress, perService }: Limits): Gate => {
  const services = makeCounts()
  const addresses = makeCounts()
  return {
    enter: ({ name, stage }, address, client) => {
      const counted = !isShared(address)
      if (counted && !addresses.take(address, perAddress)) return tooMany
      if (!services.take(stage, perService)) {
        if (counted) addresses.give(address)
        return busy(name)
      }
      client.once("close", () => {
        services.give(stage)
        if (counted) addresses.give(address)
      })
      return null
    }
  }
}
