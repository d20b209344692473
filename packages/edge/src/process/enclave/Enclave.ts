/**
 * A network of its own for each process of an edge without rights. Such an edge can't join it to the
 * host by a link; it has only the namespace, in a user namespace that bubblewrap makes: one `bwrap`
 * around the sandbox's own. Nothing leads out of it but sockets in the edge's hands: those that wait
 * inside for calls (Routes and Calls), and connections to the service's port (Gate). No packet of a
 * service ever comes to the host's network: what the edge does not carry does not exist.
 */
import type { ChildProcess } from "node:child_process"
import type { Socket } from "node:net"
import type { Resolver } from "../EgressRules.ts"
import { makeTurns, serveNames } from "../NameRelay.ts"
import { answerCalls, type Judge } from "./Calls.ts"
import { makeGates, type Place } from "./Gate.ts"
import { noRoutes, type Routes } from "./Routes.ts"

export interface EnclaveTools {
  readonly bwrap: string
  readonly nsenter: string
  readonly setpriv: string
  /** Null: nothing can be called. */
  readonly ip: string | null
}

/** What processes of an enclave may call, and how. */
export interface Way {
  readonly routes: Routes
  readonly judge: Judge
}

export interface Enclave {
  /** The process of ours that all others of it descend from. */
  readonly holder: number
  /** A connection to a port in there. */
  readonly dial: (host: string, port: number) => Promise<Socket>
  /** To be called when its processes are gone. */
  readonly close: () => void
}

export interface Enclaves {
  /** The command that runs another one in an enclave; its file 3 is to be read by `enter` alone. */
  readonly around: (
    command: ReadonlyArray<string>,
    way: Way | null
  ) => readonly [string, ...Array<string>]
  /**
   * When the process that runs `around` has an enclave and calls are answered. It must have done
   * nothing of its command until then. `own`: a port that the process inside wants itself.
   */
  readonly enter: (child: ChildProcess, way: Way | null, own?: number | null) => Promise<Enclave>
}

export const makeEnclaves = (tools: EnclaveTools): Enclaves => {
  const gates = makeGates(tools.nsenter)
  const turns = makeTurns()
  return {
    around: (command, way) => {
      const { four, six } = way?.routes ?? noRoutes
      return [
        tools.bwrap,
        ...["--unshare-user", "--unshare-net", "--cap-add", "CAP_NET_ADMIN"],
        ...["--dev-bind", "/", "/", "--die-with-parent", "--", "/bin/sh", "-c", hold, "sh"],
        ...[tools.ip ?? "", four, six, tools.setpriv, ...command]
      ]
    },
    enter: async (child, way, own = null) => {
      const holder = await holderOf(child)
      const gate = gates.at(holder)
      if (way === null) return { holder, dial: gate.dial, close: gate.close }
      try {
        const { tcp, udp } = await gate.listen(placesOf(way, own))
        const [names, ...called] = tcp
        const [questions] = udp
        if (!names || !questions) throw new Error("its sockets could not be made")
        const source = { resolverFile: "/etc/resolv.conf" }
        serveNames(questions, names, source, () => turns.enter(String(holder)))
        const calls = answerCalls(called, way.judge)
        const close = () => {
          calls.close()
          names.close()
          questions.close()
          gate.close()
        }
        return { holder, dial: gate.dial, close }
      } catch (error) {
        gate.close()
        throw error
      }
    }
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

/**
 * Says who holds the enclave. Capabilities end here: they were for routes, and for ports below 1024.
 * Lines of `ip` that fail for IPv6 only take IPv6 away.
 */
const hold = `
set -e
ip=$1 four=$2 six=$3 setpriv=$4
shift 4
if [ -n "$four" ]; then printf %s "$four" | "$ip" -batch - >&2; fi
if [ -n "$six" ]; then printf %s "$six" | "$ip" -force -batch - 2>/dev/null || :; fi
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
echo "holder $$" >&3
exec "$setpriv" --inh-caps=-all --ambient-caps=-all -- "$@"
`

const holderOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    let told = ""
    child.stdio[3]?.on("data", (chunk: Buffer) => {
      told += chunk.toString()
      const holder = /^holder (\d+)\n/.exec(told)?.[1]
      if (holder !== undefined) resolve(Number(holder))
    })
    child.once("error", reject)
    child.once("exit", () => reject(new Error("it could not be made")))
  })
