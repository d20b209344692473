/**
 * Enclaves, and what services in them may call. Before the first one a trial shows that a process in
 * there reaches nothing by itself, and that the edge refuses what it must: if it doesn't, there is no
 * way out of any.
 */
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import { mayCall } from "@deploy-mcp/domain/node/MayCall"
import { isPublicAddress } from "@deploy-mcp/domain/node/PublicAddress"
import { allowNotes } from "../Egress.ts"
import { ownAddresses } from "../EgressSelfTest.ts"
import { type Judge, reach } from "./Calls.ts"
import { callPorts } from "./Doors.ts"
import { type Enclaves, type EnclaveTools, makeEnclaves, type Way } from "./Enclave.ts"
import { routesFor } from "./Routes.ts"
import { tryEnclave } from "./Trial.ts"

/** What a process is started in. */
export interface Enclosure {
  readonly enclaves: Enclaves
  /** Null: nothing can be called. */
  readonly way: Way | null
}

export interface OpenEnclaves extends Enclosure {
  /** What services can and can't call, for people. */
  readonly notes: ReadonlyArray<string>
}

/** An error says why enclaves can't be had here. */
export const openEnclaves = async (
  tools: EnclaveTools,
  policy: EgressPolicy
): Promise<OpenEnclaves> => {
  const enclaves = makeEnclaves(tools)
  const own = makeOwn()
  const judge: Judge = {
    ports: policy.allow.flatMap(({ port }) => port ?? []),
    mayCall: (address, port) => mayCall(policy, address, port, own()),
    reach
  }
  const attempt = (six: boolean | null) => tryEnclave(enclaves, { policy, judge, six })
  const closed = async (why: string): Promise<OpenEnclaves> => {
    await twice(() => attempt(null))
    return { enclaves, way: null, notes: [`Processes can't call out: ${why}.`] }
  }
  if (policy.reach === "none" && policy.allow.length === 0) {
    return closed("DEPLOY_MCP_EGRESS is none")
  }
  const six = policy.reach === "public" && hostSpeaksSix() && (await holds(attempt(true)))
  if (!six) {
    const problem = await twice(() => attempt(false)).then(() => null, messageOf)
    if (problem !== null) return closed(problem)
  }
  return { enclaves, way: { routes: routesFor(policy, six), judge }, notes: notesOf(policy, six) }
}

/** What goes wrong on a busy machine may go well a moment later. */
const twice = (attempt: () => Promise<void>): Promise<void> => attempt().catch(attempt)

/** This host's addresses, which take milliseconds to list where there are many. */
const makeOwn = () => {
  let known: ReadonlyArray<string> = []
  let since = Number.NEGATIVE_INFINITY
  return (): ReadonlyArray<string> => {
    const now = performance.now()
    if (now - since > ownForMs) {
      known = [...ownAddresses("IPv4"), ...ownAddresses("IPv6")]
      since = now
    }
    return known
  }
}

const ownForMs = 1_000

const holds = (attempt: Promise<void>): Promise<boolean> =>
  attempt.then(
    () => true,
    () => false
  )

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** Programs would wait for an answer over IPv6 where there is none. */
const hostSpeaksSix = (): boolean => ownAddresses("IPv6").some(isPublicAddress)

const notesOf = ({ allow, reach }: EgressPolicy, six: boolean): ReadonlyArray<string> => [
  reach === "public"
    ? `Processes may call the public internet over ${six ? "IPv4 and IPv6" : "IPv4"} through the platform, by TCP at ports ${callPorts.join(", ")}: no private or metadata address, not this host, not each other.`
    : "Processes can't call the internet (DEPLOY_MCP_EGRESS is none).",
  ...allowNotes(allow)
]
