/** Why a process that runs has not become healthy in time, in the words of the failure catalogue. */
import type { ProcessFailure, ProcessWorkload } from "./NodeProtocol.ts"
import type { ListeningSocket } from "./SocketTable.ts"

export interface HealthAnswer {
  readonly healthy: boolean
  /** Such as `answered 503`. */
  readonly summary: string
  /** What it said, or why nothing came. */
  readonly evidence: ReadonlyArray<string>
}

/** What of a program says which answer is a healthy one. */
export type Asked = Pick<ProcessWorkload, "anyStatus" | "healthPath">

/** A status below this is healthy. */
export const healthyBelow = ({ anyStatus = false, healthPath }: Asked): number =>
  healthPath !== null ? 400 : anyStatus ? 1_000 : 500

/** `port` is what PORT said; `reachable` tells whether visitors could be led to a socket. */
export const explainSilence = (
  asked: Pick<ProcessWorkload, "startTimeout" | "healthPath" | "port">,
  sockets: ReadonlyArray<ListeningSocket>,
  reachable: (socket: ListeningSocket) => boolean,
  health: HealthAnswer | null
): ProcessFailure => {
  const seconds = Math.round(asked.startTimeout / 100) / 10
  const open = sockets.find(reachable)
  const [closed] = sockets
  if (health) {
    const path = asked.healthPath ?? "/"
    return {
      code: "unhealthy",
      cause: `${path} gave no good answer within ${seconds} s: ${health.summary}.`,
      evidence: health.evidence,
      port: null
    }
  }
  if (open && open.port !== asked.port) {
    const cause = `The process listens on port ${open.port}, not on port ${asked.port}.`
    return { code: "wrong_port", cause, evidence: [], port: open.port }
  }
  if (closed && !reachable(closed)) {
    const cause = `The process listens on port ${closed.port}, but only on the loopback address.`
    return { code: "loopback_only", cause, evidence: [], port: closed.port }
  }
  const cause = `The process listened on no port within ${seconds} s; PORT was ${asked.port}.`
  return { code: "no_port", cause, evidence: [], port: null }
}
