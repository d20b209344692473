/** Whether services of different owners may run beside each other on a node. */
import type { Isolation } from "./NodeProtocol.ts"

/** False without a sandbox, and where services share the host's network: one could call another's. */
export const fencesOwners = ({ level, network, refused }: Isolation): boolean =>
  level !== "plain" && network && refused === undefined
