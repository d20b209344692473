/** The edge's sockets that wait for calls in one enclave. */
import type { Resolver } from "../EgressRules.ts"
import { serveNames, type Turns } from "../NameRelay.ts"
import { makeCalls } from "./Calls.ts"
import type { Inhabitant, Way } from "./Enclave.ts"
import type { Gate, Place } from "./Gate.ts"

export interface DoorsOptions {
  readonly gate: Gate
  readonly way: Way
  readonly inhabitant: Inhabitant
  /** Gives a question for a name its turn. */
  readonly enter: () => ReturnType<Turns["enter"]>
}

/**
 * Answers with what closes them. Whoever calls without pause takes time of an edge that is everybody's,
 * also when each call is refused: then they are closed for a while, and the kernel refuses.
 */
export const openDoors = async (options: DoorsOptions): Promise<() => void> => {
  const { gate, inhabitant, way } = options
  let closed = false
  let closeSockets = () => {}
  let again: NodeJS.Timeout | undefined
  const isFlood = countEach(() => {
    closeSockets()
    const seconds = floodPauseMs / 1000
    inhabitant.tell(
      `It calls out more than ${mostEachSecond} times a second: nothing can be called for ${seconds} s.`
    )
    again = setTimeout(() => void open().catch(() => {}), floodPauseMs)
  })
  const calls = makeCalls({
    ...way.judge,
    mayCall: (address, port) => !isFlood() && way.judge.mayCall(address, port)
  })
  const open = async () => {
    const { tcp, udp } = await gate.listen(placesOf(way, inhabitant.port))
    const [names, ...called] = tcp
    const [questions] = udp
    if (!names || !questions) throw new Error("its sockets could not be made")
    const source = { resolverFile: "/etc/resolv.conf" }
    serveNames(questions, names, source, () => (isFlood() ? undefined : options.enter()))
    calls.serve(called)
    closeSockets = () => {
      for (const socket of [questions, ...tcp]) socket.close()
      closeSockets = () => {}
    }
    if (closed) closeSockets()
  }
  await open()
  return () => {
    closed = true
    clearTimeout(again)
    closeSockets()
    calls.close()
  }
}

const mostEachSecond = 1000
const floodPauseMs = 10_000

/** Counts each time it is asked; true, and calls back once, from when it is too many. */
const countEach = (flood: () => void) => {
  let since = 0
  let count = 0
  return (): boolean => {
    const now = performance.now()
    if (now - since >= 1000) {
      since = now
      count = 0
    }
    count++
    if (count === mostEachSecond + 1) flood()
    return count > mostEachSecond
  }
}

/** Where services ask for names. */
export const enclaveResolver: Resolver = { address: "127.0.0.53", udpPort: 53, tcpPort: 53 }

/**
 * Ports that can be called: one socket waits at each. All of them cannot wait, and none of them can be
 * opened by a service for its own use, so these are the web's, git's, mail's and databases' ones.
 */
export const callPorts: ReadonlyArray<number> = [
  ...[22, 80, 443, 465, 587, 8443],
  ...[1433, 3306, 5432, 5671, 5672, 6379, 6543, 9092, 27017]
]

const placesOf = ({ routes, judge }: Way, own: number | null): ReadonlyArray<Place> => {
  const host = routes.six === "" ? "0.0.0.0" : "::"
  const ports = new Set([...callPorts, ...judge.ports])
  return [
    { kind: "udp", host: enclaveResolver.address, port: enclaveResolver.udpPort },
    { kind: "tcp", host: enclaveResolver.address, port: enclaveResolver.tcpPort },
    ...[...ports]
      .filter((port) => port !== own)
      .map((port) => ({ kind: "tcp" as const, host, port }))
  ]
}
