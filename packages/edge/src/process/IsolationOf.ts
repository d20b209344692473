/** What fences services on this machine, told from what was tried when the edge started. */
import type { Isolation, SandboxLayer } from "@deploy-mcp/domain/node/NodeProtocol"
import type { Egress } from "./Egress.ts"
import type { Gvisor } from "./gvisor/Gvisor.ts"
import { readOnlyPlaces as placesInGvisor } from "./gvisor/TryGvisor.ts"
import type { Machine } from "./Machine.ts"
import type { SlotPool } from "./SlotPool.ts"
import { namespaceKinds, readOnlyPlaces, type SeenInside } from "./TrySandbox.ts"

export const isolationOf = (
  machine: Machine,
  pool: SlotPool | null,
  egress: Egress | null
): Isolation => {
  const network = pool?.network ?? machine.enclave !== null
  const sandboxed = machine.bwrap !== null && (pool !== null || !machine.root)
  const roots = pool ? machine.controlGroups?.roots : undefined
  const limits = {
    memory: roots?.has("memory") ?? false,
    cpu: roots?.has("cpu") ?? false,
    pids: roots?.has("pids") ?? false,
    io: roots?.has("io") ?? false
  }
  const level = !sandboxed ? "plain" : machine.gvisor ? "gvisor" : "bubblewrap"
  const refused = refusalOf(machine, level)
  const notes = [...machine.notes]
  if (refused === null && machine.unfenced !== null) {
    notes.unshift(`Processes are not sandboxed: ${machine.unfenced}.`)
  }
  if (!machine.root)
    notes.push("The platform does not run as root: no user of their own for owners.")
  if (!network)
    notes.push("Processes share the host's network: they reach whatever the host reaches.")
  else if (egress) notes.push(...egress.notes)
  else notes.push("nft is missing: processes reach what listens on all addresses of this host.")
  if (!limits.memory) {
    notes.push(
      limitsEach(machine)
        ? "Memory is limited only roughly, for each single process (prlimit), not for a service."
        : "Memory is not limited."
    )
  }
  if (!limits.cpu || !limits.pids) notes.push("Cpu and number of processes are not limited.")
  if (limits.io && machine.controlGroups?.version === 1) {
    notes.push(
      "Of what is written to disks, only direct writes are limited (control groups, version 1)."
    )
  }
  if (!sandboxed && !pool) notes.push("Nothing keeps a process from changing its own files.")
  if (!sandboxed && machine.root && !pool) {
    notes.push("A process whose files are not open to everybody runs as the platform's own user.")
  }
  const layers = [
    ...(sandboxed && machine.seen
      ? layersInside(machine.seen, machine.gvisor)
      : [noSandbox(refused)]),
    userLayer(machine, pool),
    networkLayer(network, egress),
    limitsLayer(machine, limits)
  ]
  return { level, network, limits, notes, layers, ...(refused === null ? {} : { refused }) }
}

/** Null: what the operator wants is what services run in. */
const refusalOf = ({ unfenced, wanted }: Machine, level: Isolation["level"]): string | null => {
  if (wanted === "auto" || wanted === "none" || wanted === level) return null
  const why = unfenced ?? "root takes nsenter, unshare, mount and setpriv (util-linux) for it"
  return `DEPLOY_MCP_SANDBOX is ${wanted}, which can't be had here: ${why}. Nothing weaker is used instead. Install what is missing, or set DEPLOY_MCP_SANDBOX to auto, and start the platform again.`
}

const noSandbox = (refused: string | null): SandboxLayer => ({
  layer: "sandbox",
  state: "missing",
  detail: `none: ${refused === null ? "only services of the platform's own owner are run" : "no service is run"}`,
  proof: "what the settings want was looked for and tried at the start"
})

const layersInside = (seen: SeenInside, gvisor: Gvisor | null): ReadonlyArray<SandboxLayer> => {
  const proof = "seen from inside a sandbox at the start"
  const { filter, namespaces, powerless, readOnly } = seen
  const own: SandboxLayer = {
    layer: "namespaces",
    state: namespaces.length === namespaceKinds.length ? "holds" : "partly",
    detail: `own ${namespaces.join(", ")}`,
    proof
  }
  if (gvisor) {
    // Else it would not be here: what does not hold all of them is not used.
    const kernel = `a kernel of its own (gVisor ${gvisor.version}, ${gvisor.platform})`
    return [
      own,
      { layer: "system calls", state: "holds", detail: `answered by ${kernel}`, proof },
      { layer: "rights", state: "holds", detail: "no capabilities", proof },
      {
        layer: "files",
        state: "holds",
        detail: `own files only; read-only: ${placesInGvisor.join(" ")}`,
        proof
      }
    ]
  }
  return [
    own,
    {
      layer: "system calls",
      state: filter ? "holds" : "missing",
      detail: filter ? "only those that services need (seccomp)" : "all of the kernel's",
      proof
    },
    {
      layer: "rights",
      state: powerless ? "holds" : "partly",
      detail: powerless ? "no capabilities, and none to be gained" : "some capabilities are left",
      proof
    },
    {
      layer: "files",
      state: readOnly.length === readOnlyPlaces.length ? "holds" : "partly",
      detail: `own files only; read-only: ${readOnly.join(" ")}`,
      proof
    }
  ]
}

const userLayer = (machine: Machine, pool: SlotPool | null): SandboxLayer =>
  pool
    ? {
        layer: "host user",
        state: "holds",
        detail: "one for each owner",
        proof: "a slot was made at the start"
      }
    : {
        layer: "host user",
        state: "missing",
        detail: machine.root ? "the platform's own where files are closed" : "the platform's own",
        proof: machine.root ? "slots can't be made here" : "the platform is not root"
      }

const networkLayer = (network: boolean, egress: Egress | null): SandboxLayer => {
  const layer = "network"
  if (!network) {
    return {
      layer,
      state: "missing",
      detail: "the host's own: only services of the platform's own owner are run",
      proof: "none could be made at the start"
    }
  }
  return egress
    ? {
        layer,
        state: "holds",
        detail: egress.open ? "own, with rules for what is called" : "own, and closed",
        proof: egress.open
          ? "a self-test at the start was refused what it must"
          : "no way was opened"
      }
    : { layer, state: "partly", detail: "own, without rules", proof: "nft is missing" }
}

/** Whether a process, alone, can allocate no more than it may. */
const limitsEach = ({ gvisor, prlimit }: Machine) => prlimit !== null && gvisor === null

const limitsLayer = (machine: Machine, limits: Isolation["limits"]): SandboxLayer => {
  const layer = "limits"
  const biting = Object.entries(limits).flatMap(([name, on]) => (on ? [name] : []))
  if (biting.length === 0) {
    return limitsEach(machine)
      ? {
          layer,
          state: "partly",
          detail: "memory of each process (prlimit)",
          proof: "found on PATH"
        }
      : {
          layer,
          state: "missing",
          detail: "none",
          proof: "no control groups, and no prlimit that would count"
        }
  }
  return {
    layer,
    state: biting.length === Object.keys(limits).length ? "holds" : "partly",
    detail: `${biting.join(", ")} (control groups, version ${machine.controlGroups?.version})`,
    proof: "a group of each was made at the start"
  }
}
