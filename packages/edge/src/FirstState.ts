/** What is known of a release before anything is done for it. */
import { isIP } from "node:net"
import type { ProcessFailure, Workload } from "@deploy-mcp/domain/node/NodeProtocol"
import type { ProcessState } from "./process/Processes.ts"

/** An address is somebody else's and counts as healthy at once. */
export const firstState = (workload: Workload): ProcessState => {
  const none = { restarts: 0, endpoint: null, failure: null }
  if (workload.kind === "image") {
    const failure = startFailed("this node runs no containers; another deploy provider does")
    return { ...none, state: "failed", failure }
  }
  if (workload.kind !== "endpoint") return { ...none, state: "starting" }
  const { host, port } = workload
  return isIP(host) !== 0 && port > 0 && port < 65_536
    ? { ...none, state: "healthy", endpoint: { host, port } }
    : { ...none, state: "failed", failure: startFailed(`${host} port ${port} is no address`) }
}

export const startFailed = (cause: string): ProcessFailure => ({
  code: "start_failed",
  cause,
  evidence: [],
  port: null
})
