/**
 * A network of its own for each process of an edge without rights. Such an edge can't join it to the
 * host by a link; it has only the namespace, in a user namespace that is made around the sandbox. Nothing leads out of it but sockets in the edge's hands: those that wait
 * inside for calls (Routes and Calls), and connections to the service's port (Gate). No packet of a
 * service ever comes to the host's network: what the edge does not carry does not exist.
 */
import type { ChildProcess } from "node:child_process"
import type { Socket } from "node:net"
import { makeTurns } from "../NameRelay.ts"
import type { Judge } from "./Calls.ts"
import { openDoors } from "./Doors.ts"
import { makeGates } from "./Gate.ts"
import { noRoutes, type Routes } from "./Routes.ts"

export interface EnclaveTools {
  readonly ip: string
  readonly nsenter: string
  readonly setpriv: string
  readonly unshare: string
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
   * nothing of its command until then.
   */
  readonly enter: (
    child: ChildProcess,
    way: Way | null,
    inhabitant?: Inhabitant
  ) => Promise<Enclave>
}

/** The service inside. */
export interface Inhabitant {
  /** The port that it wants to listen at itself. */
  readonly port: number | null
  /** What it is to be told. */
  readonly tell: (text: string) => void
}

export const makeEnclaves = (tools: EnclaveTools): Enclaves => {
  const gates = makeGates(tools.nsenter)
  const turns = makeTurns()
  return {
    around: (command, way) => {
      const { four, six } = way?.routes ?? noRoutes
      return [
        tools.unshare,
        ...["--user", "--map-current-user", "--keep-caps", "--net", "--"],
        ...["/bin/sh", "-c", hold, "sh", tools.ip, four, six, tools.setpriv, ...command]
      ]
    },
    enter: async (child, way, inhabitant = nobody) => {
      const holder = await holderOf(child)
      const gate = gates.at(holder)
      if (way === null) return { holder, dial: gate.dial, close: gate.close }
      try {
        const enter = () => turns.enter(String(holder))
        const close = await openDoors({ gate, way, inhabitant, enter })
        return {
          holder,
          dial: gate.dial,
          close: () => {
            close()
            gate.close()
          }
        }
      } catch (error) {
        gate.close()
        throw error
      }
    }
  }
}

const nobody: Inhabitant = { port: null, tell: () => {} }

/**
 * Brings up its loopback and says who holds the enclave. Capabilities end here: they were for routes, and for ports below 1024.
 * Lines of `ip` that fail for IPv6 only take IPv6 away.
 */
const hold = `
set -e
ip=$1 four=$2 six=$3 setpriv=$4
shift 4
printf 'link set lo up\\n%s' "$four" | "$ip" -batch - >&2
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
