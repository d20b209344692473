/** The way to something that answers: its address, and connections to it that are kept for the next request. */
import type { Agent } from "node:http"
import { agentFor } from "./process/DialAgent.ts"
import type { Endpoint } from "./process/Processes.ts"

export interface Upstream {
  readonly endpoint: Endpoint
  readonly agent: Agent
}

/** To be made anew each time something becomes healthy. */
export const openUpstream = (endpoint: Endpoint): Upstream => ({
  endpoint,
  // Node drops an idle upstream connection after 5 s by default: be the one that closes first.
  agent: agentFor(endpoint, {
    keepAlive: true,
    timeout: 4_000,
    maxFreeSockets: 64,
    scheduling: "lifo"
  })
})

export const leadsTo = (upstream: Upstream, { dial, host, port }: Endpoint): boolean =>
  upstream.endpoint.host === host &&
  upstream.endpoint.port === port &&
  upstream.endpoint.dial === dial

/** Those being answered end on their connections; none is kept after that. */
export const abandon = ({ agent }: Upstream): void => {
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy()
  }
  agent.maxFreeSockets = 0
}
