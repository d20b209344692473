/** Runs processes behind the strongest fence that this machine allows, and says which one that is. */

import { type Backoff, defaultBackoff } from "@deploy-mcp/domain/node/Backoff"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import { fencesOwners } from "@deploy-mcp/domain/node/FencesOwners"
import { type Egress, openEgress } from "./Egress.ts"
import { enclaveResolver } from "./enclave/Doors.ts"
import type { EnclaveTools } from "./enclave/Enclave.ts"
import { openEnclaves } from "./enclave/OpenEnclaves.ts"
import { isolationOf } from "./IsolationOf.ts"
import { type Launch, LaunchError } from "./Launch.ts"
import { launchDirect } from "./LaunchDirect.ts"
import { launchInSlot } from "./LaunchInSlot.ts"
import { type Machine, probeMachine } from "./Machine.ts"
import type { Processes, ProcessesOptions, RunningWorker } from "./Processes.ts"
import { reap } from "./Reap.ts"
import { runToEnd } from "./RunToEnd.ts"
import { writeSlotFiles } from "./SlotFiles.ts"
import { makeSlotPool, type SlotPool } from "./SlotPool.ts"
import { supervise } from "./Supervise.ts"
import { superviseWorker } from "./SuperviseWorker.ts"

/** What services get to end by themselves when the edge ends, in milliseconds. */
const closeGraceMs = 2000

/** Kills what an earlier edge of this home left, before anything is started. */
export const makeProcesses = async (
  options: ProcessesOptions,
  backoff: Backoff = defaultBackoff
): Promise<Processes> => {
  const probed = await probeMachine(options.home, options.homeId, options.sandbox, reap)
  const { egress, machine, pool, ...chosen } = await chooseLaunch(
    probed,
    options.egress ?? { reach: "none", allow: [] }
  )
  const isolation = isolationOf(machine, pool, egress)
  const launch =
    isolation.refused !== undefined
      ? refuse(isolation.refused)
      : fencesOwners(isolation)
        ? chosen.launch
        : onlyOwn(chosen.launch)
  const running = new Set<RunningWorker>()
  let closing: Promise<void> | null = null

  const close = async () => {
    await Promise.all([...running].map((one) => one.stop(closeGraceMs)))
    await pool?.close()
    await egress?.close()
  }
  return {
    isolation,
    start: (request) => {
      if (closing) throw new Error("the edge is ending")
      const one = supervise(
        {
          ...request,
          onState: (state) => {
            if (state.state === "failed" || state.state === "stopped") running.delete(one)
            request.onState(state)
          }
        },
        launch,
        backoff
      )
      running.add(one)
      return one
    },
    startWorker: (request) => {
      if (closing) throw new Error("the edge is ending")
      const worker = superviseWorker(request, launch, backoff)
      running.add(worker)
      return {
        stop: (graceMs) => worker.stop(graceMs).finally(() => running.delete(worker))
      }
    },
    startRun: (request) => {
      if (closing) throw new Error("the edge is ending")
      const job = runToEnd(request, launch)
      running.add(job)
      void job.ended.finally(() => running.delete(job))
      return job
    },
    close: () => {
      closing ??= close()
      return closing
    }
  }
}

/** What the operator chose does not work here, and nothing weaker is put in its place. */
const refuse =
  (reason: string): Launch =>
  async () => {
    throw new LaunchError(reason, "no_sandbox")
  }

/** The platform's own owner. */
const ownTenant = 0

/** Else a stranger's service could read and change what is the platform's, or call another's. */
const onlyOwn =
  (launch: Launch): Launch =>
  async (request) => {
    if (request.tenant === ownTenant) return launch(request)
    throw new LaunchError(
      "Nothing fences owners' services from each other on this machine, so only those of the platform's own owner run on it.",
      "no_sandbox"
    )
  }

interface Choice {
  readonly machine: Machine
  readonly launch: Launch
  readonly pool: SlotPool | null
  /** Null: nothing stands between a process and what it calls. */
  readonly egress: Egress | null
}

/** What the probes can't tell is tried: the first slot shows what really works. */
const chooseLaunch = async (machine: Machine, policy: EgressPolicy): Promise<Choice> => {
  if (machine.enclave) return chooseEnclaves(machine, machine.enclave, policy)
  if (!machine.slots) return { machine, launch: launchDirect(machine), pool: null, egress: null }
  const { network, nft } = machine.slots
  const egress = network && nft ? await openEgress(machine, { ...network, nft }, policy) : null
  const forwards = egress?.open ?? false
  const slots = { ...machine.slots, network: network && { ...network, forwards } }
  try {
    const pool = await makeSlotPool(machine, slots)
    return { machine, pool, egress, launch: launchInSlot(machine, slots, pool) }
  } catch (error) {
    await egress?.close()
    await writeSlotFiles(machine.files)
    const words = error instanceof Error ? error.message : String(error)
    const note = network
      ? `No network of their own for processes: ${words}.`
      : `No users of their own for owners: ${words}.`
    const fewer = network ? { ...machine.slots, network: null } : null
    return chooseLaunch({ ...machine, slots: fewer, notes: [...machine.notes, note] }, policy)
  }
}

const chooseEnclaves = async (
  machine: Machine,
  tools: EnclaveTools,
  policy: EgressPolicy
): Promise<Choice> => {
  try {
    const { enclaves, notes, way } = await openEnclaves(tools, policy)
    if (way) await writeSlotFiles(machine.files, policy, enclaveResolver)
    const launch = launchDirect(machine, { enclaves, way })
    return {
      machine,
      launch,
      pool: null,
      egress: { open: way !== null, notes, close: async () => {} }
    }
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error)
    const note = `No network of their own for processes: ${words}.`
    return chooseLaunch({ ...machine, enclave: null, notes: [...machine.notes, note] }, policy)
  }
}
