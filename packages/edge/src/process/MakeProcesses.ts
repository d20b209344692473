/** Runs processes behind the strongest fence that this machine allows, and says which one that is. */

import { type Backoff, defaultBackoff } from "@deploy-mcp/domain/node/Backoff"
import type { EgressPolicy } from "@deploy-mcp/domain/node/EgressPolicy"
import type { Isolation } from "@deploy-mcp/domain/node/NodeProtocol"
import { type Egress, openEgress } from "./Egress.ts"
import { type EnclaveTools, enclaveResolver } from "./enclave/Enclave.ts"
import { openEnclaves } from "./enclave/OpenEnclaves.ts"
import type { Launch } from "./Launch.ts"
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
  const probed = await probeMachine(options.home, options.homeId)
  await reap(probed)
  const { egress, launch, machine, pool } = await chooseLaunch(
    probed,
    options.egress ?? { reach: "none", allow: [] }
  )
  const running = new Set<RunningWorker>()
  let closing: Promise<void> | null = null

  const close = async () => {
    await Promise.all([...running].map((one) => one.stop(closeGraceMs)))
    await pool?.close()
    await egress?.close()
  }
  return {
    isolation: isolationOf(machine, pool, egress),
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

interface Choice {
  readonly machine: Machine
  readonly launch: Launch
  readonly pool: SlotPool | null
  /** Null: nothing stands between a process and what it calls. */
  readonly egress: Pick<Egress, "notes" | "close"> | null
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
    return { machine, launch, pool: null, egress: { notes, close: async () => {} } }
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error)
    const note = `No network of their own for processes: ${words}.`
    return chooseLaunch({ ...machine, enclave: null, notes: [...machine.notes, note] }, policy)
  }
}

const isolationOf = (
  machine: Machine,
  pool: SlotPool | null,
  egress: Choice["egress"]
): Isolation => {
  const network = pool?.network ?? machine.enclave !== null
  const sandboxed = machine.bwrap !== null && (pool !== null || !machine.root)
  const roots = pool ? machine.controlGroups?.roots : undefined
  const limits = {
    memory: roots?.has("memory") ?? false,
    cpu: roots?.has("cpu") ?? false,
    pids: roots?.has("pids") ?? false
  }
  const notes = [...machine.notes]
  if (!machine.root)
    notes.push("The platform does not run as root: no user of their own for owners.")
  if (!network)
    notes.push("Processes share the host's network: they reach whatever the host reaches.")
  else if (egress) notes.push(...egress.notes)
  else notes.push("nft is missing: processes reach what listens on all addresses of this host.")
  if (!limits.memory) {
    notes.push(
      machine.prlimit
        ? "Memory is limited only roughly, for each single process (prlimit), not for a service."
        : "Memory is not limited."
    )
  }
  if (!limits.cpu || !limits.pids) notes.push("Cpu and number of processes are not limited.")
  if (!sandboxed && !pool) notes.push("Nothing keeps a process from changing its own files.")
  if (!sandboxed && machine.root && !pool) {
    notes.push("A process whose files are not open to everybody runs as the platform's own user.")
  }
  return { level: sandboxed ? "bubblewrap" : "plain", network, limits, notes }
}
