/**
 * Watches a process that has just been started until it answers, wherever it really listens, or
 * until its time is over.
 */
import { connect } from "node:net"
import { setTimeout as pause } from "node:timers/promises"
import { explainSilence, type HealthAnswer } from "@deploy-mcp/domain/node/ExplainSilence"
import type { ProcessFailure, ProcessWorkload } from "@deploy-mcp/domain/node/NodeProtocol"
import type { ListeningSocket } from "@deploy-mcp/domain/node/SocketTable"
import { askHealth } from "./AskHealth.ts"
import type { Launched } from "./Launch.ts"
import { listeningSockets } from "./ListeningSockets.ts"
import type { Dial, Endpoint } from "./Processes.ts"

export type Outcome =
  | { readonly endpoint: Endpoint; readonly failure: null }
  | { readonly endpoint: null; readonly failure: ProcessFailure }

/** A process that listens in the wrong place for this long has not just opened something else first. */
const settledMs = 10_000
/** Another port waits this long for PORT: a service may open one for metrics before its own. */
const headStartMs = 150
/** Reading the kernel's tables costs more than knocking at a port. */
const readEvery = 8

/** Null: the signal ended it. */
export const awaitHealthy = async (
  run: Launched,
  workload: ProcessWorkload,
  signal: AbortSignal
): Promise<Outcome | null> => {
  const started = performance.now()
  const deadline = started + workload.startTimeout
  const seen = new Seen()
  let health: HealthAnswer | null = null
  let endpoint: Endpoint | null = null

  for (let round = 1; !signal.aborted; round++) {
    const expected = await knock(run, signal)
    if (expected) endpoint = expected
    else if (round % readEvery === 0 || performance.now() >= deadline) {
      seen.update(await openSockets(run))
      endpoint = workload.port === null ? elsewhere(run, seen) : null
    }
    if (endpoint) {
      health = await askHealth(endpoint, workload, deadline, signal)
      if (health.healthy) return { endpoint, failure: null }
    }
    const late = performance.now() >= deadline
    const wrong = seen.unchangedFor() >= settledMs && !endpoint && seen.sockets.length > 0
    if (late || wrong) {
      const reachableHere = (socket: ListeningSocket) => reachable(run, socket)
      const asked = { ...workload, port: run.port }
      return { endpoint: null, failure: explainSilence(asked, seen.sockets, reachableHere, health) }
    }
    await pause(pauseAfter(performance.now() - started, health), undefined, { signal }).catch(
      () => {}
    )
  }
  return null
}

/** Often while most services start, then less and less often. */
const pauseAfter = (elapsed: number, health: HealthAnswer | null): number => {
  if (elapsed < 1000) return health ? 10 : 3
  return elapsed < 5000 ? 25 : 100
}

class Seen {
  sockets: ReadonlyArray<ListeningSocket> = []
  /** Since when each of them is there. */
  #since = new Map<string, number>()
  #changed = performance.now()

  update(sockets: ReadonlyArray<ListeningSocket>): void {
    const now = performance.now()
    const since = new Map(sockets.map((one) => [name(one), this.#since.get(name(one)) ?? now]))
    const same =
      since.size === this.#since.size && [...since.keys()].every((key) => this.#since.has(key))
    if (!same) this.#changed = now
    this.#since = since
    this.sockets = sockets
  }
  unchangedFor(): number {
    return performance.now() - this.#changed
  }
  steady(): ReadonlyArray<ListeningSocket> {
    const latest = performance.now() - headStartMs
    return this.sockets.filter((one) => (this.#since.get(name(one)) ?? latest + 1) <= latest)
  }
}

const name = (socket: ListeningSocket): string => `${socket.inode}:${socket.port}`

/** PORT itself. In the host's network a stranger may hold it, so its owner is looked up too. */
const knock = async (run: Launched, signal: AbortSignal): Promise<Endpoint | null> => {
  if (run.port === null) return null
  const endpoint = endpointOf(run, run.host, run.port)
  if (!(await (run.dial ? dials(run.dial, endpoint) : connects(endpoint, signal)))) return null
  if (run.ownNetwork) return endpoint
  const own = await listeningSockets(run.pid, false)
  return own.some((socket) => socket.port === run.port) ? endpoint : null
}

const endpointOf = ({ dial }: Launched, host: string, port: number): Endpoint =>
  dial ? { host, port, dial } : { host, port }

/** In its network the edge listens too where it can only dial: then they have to be its own. */
const openSockets = (run: Launched): Promise<ReadonlyArray<ListeningSocket>> =>
  listeningSockets(run.pid, run.ownNetwork && !run.dial)

const dials = (dial: Dial, { host, port }: Endpoint): Promise<boolean> =>
  dial(host, port).then(
    (socket) => {
      socket.destroy()
      return true
    },
    () => false
  )

const connects = (endpoint: Endpoint, signal: AbortSignal): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ ...endpoint, timeout: 1000 })
    const end = (open: boolean) => {
      signal.removeEventListener("abort", stop)
      socket.destroy()
      resolve(open)
    }
    const stop = () => end(false)
    signal.addEventListener("abort", stop, { once: true })
    socket.once("connect", () => end(true))
    socket.once("timeout", stop)
    socket.once("error", stop)
  })

/** Another port than was asked for: fine, as long as nobody depends on the one that was. */
const elsewhere = (run: Launched, seen: Seen): Endpoint | null => {
  const open = seen.steady().filter((socket) => reachable(run, socket))
  const socket = open.find(({ port }) => port === run.port) ?? open[0]
  if (!socket) return null
  const atSix = socket.family === 6 && socket.loopback && reachesLoopback(run)
  return endpointOf(run, atSix ? "::1" : run.host, socket.port)
}

const reachable = (run: Launched, socket: ListeningSocket): boolean =>
  reachesLoopback(run) || !socket.loopback

const reachesLoopback = (run: Launched): boolean => !run.ownNetwork || run.dial !== undefined
