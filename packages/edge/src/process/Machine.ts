/** What this machine allows, probed once: the strongest fence that really works is used. */
import { mkdir, realpath, stat } from "node:fs/promises"
import { join } from "node:path"
import type { SandboxChoice } from "@deploy-mcp/domain/node/SandboxChoice"
import { type ControlGroups, findControlGroups } from "./ControlGroup.ts"
import type { EnclaveTools } from "./enclave/Enclave.ts"
import type { Gvisor } from "./gvisor/Gvisor.ts"
import { tryGvisor } from "./gvisor/TryGvisor.ts"
import type { NetworkTools } from "./Network.ts"
import { findProgram, systemDirectories } from "./Program.ts"
import { writeSlotFiles } from "./SlotFiles.ts"
import { type SeenInside, trySandbox } from "./TrySandbox.ts"

export interface Machine {
  readonly home: string
  readonly homeId: string
  readonly root: boolean
  /** What the operator wants services to run in. */
  readonly wanted: SandboxChoice
  /** Why there is no sandbox, as the end of a sentence; null: there is one. */
  readonly unfenced: string | null
  /** Null: no sandbox. */
  readonly bwrap: string | null
  /** What services run in within bubblewrap. Null: in the host's kernel. */
  readonly gvisor: Gvisor | null
  /** File with the seccomp program of sandboxes. Null: they may make all system calls. */
  readonly filter: string | null
  /** What the first sandbox saw of itself; null: there was none. */
  readonly seen: SeenInside | null
  readonly prlimit: string | null
  /** What enclaves are made with; null: processes share the host's network. */
  readonly enclave: EnclaveTools | null
  /** What slots are made with; null: processes are started directly. */
  readonly slots: SlotTools | null
  readonly controlGroups: ControlGroups | null
  /** Holds `etc/` and the fence; readable by anybody who can reach it. */
  readonly files: string
  /** Sentences about what is missing and why. */
  readonly notes: ReadonlyArray<string>
}

export interface SlotTools {
  readonly nsenter: string
  readonly unshare: string
  /** A directory of the host that slots cover with mounts of their own. */
  readonly stage: string
  readonly network: NetworkTools | null
  readonly nft: string | null
}

/** What is known of a machine before a sandbox was tried: enough to clear away what was left on it. */
export type Traces = Pick<Machine, "homeId" | "files" | "controlGroups" | "slots">

/** `clear` is called once, and is over when this is. */
export const probeMachine = async (
  givenHome: string,
  homeId: string,
  wanted: SandboxChoice = "auto",
  clear: (traces: Traces) => Promise<void> = async () => {}
): Promise<Machine> => {
  await mkdir(givenHome, { recursive: true })
  const home = await realpath(givenHome)
  const root = process.getuid?.() === 0
  const [ip, nsenter, unshare, mount, setpriv, nft, bwrap, prlimit] = await Promise.all([
    findProgram("ip", systemDirectories),
    findProgram("nsenter"),
    findProgram("unshare"),
    findProgram("mount"),
    findProgram("setpriv"),
    findProgram("nft", systemDirectories),
    findProgram("bwrap"),
    findProgram("prlimit")
  ])
  const controlGroups = root ? await findControlGroups() : null
  const files = join(home, "run", "processes")
  await writeSlotFiles(files)

  let slots: SlotTools | null = null
  if (root && nsenter && unshare && mount && setpriv) {
    const network = ip ? { ip, nsenter, forwards: false } : null
    const stage = await findStage(home, network !== null)
    if (stage) slots = { nsenter, unshare, stage, network, nft }
  }
  const enclave =
    !root && ip && nsenter && setpriv && unshare ? { ip, nsenter, setpriv, unshare } : null
  const [sandbox] = await Promise.all([
    chooseSandbox(wanted, bwrap, files),
    clear({ homeId, files, controlGroups, slots })
  ])
  return {
    home,
    homeId,
    root,
    wanted,
    ...sandbox,
    prlimit,
    enclave: sandbox.bwrap === null ? null : enclave,
    slots,
    controlGroups,
    files
  }
}

type Chosen = Pick<Machine, "bwrap" | "gvisor" | "seen" | "filter" | "notes" | "unfenced">

/** What is wanted and works; never anything weaker instead. */
const chooseSandbox = async (
  wanted: SandboxChoice,
  bwrap: string | null,
  files: string
): Promise<Chosen> => {
  const none = (unfenced: string): Chosen => ({
    ...{ bwrap: null, gvisor: null, seen: null, filter: null },
    ...{ notes: [], unfenced }
  })
  if (wanted === "none") return none("DEPLOY_MCP_SANDBOX is none")
  if (bwrap === null) return none("bubblewrap (bwrap) is not installed")
  const { filter, notes, problem, seen } = await trySandbox(bwrap, files)
  if (seen === null) return none(`bubblewrap does not work here (${problem})`)
  if (wanted !== "gvisor") return { bwrap, gvisor: null, seen, filter, notes, unfenced: null }
  const tried = await tryGvisor(bwrap, files)
  return tried.gvisor === null
    ? none(`gVisor can't be used, since ${tried.problem}`)
    : // What gVisor itself may call, it sees to by itself.
      { bwrap, gvisor: tried.gvisor, seen, filter: null, notes: [], unfenced: null }
}

/** `/run/netns` is ours to cover where namespaces are used; elsewhere one that holds no home. */
const findStage = async (home: string, networks: boolean): Promise<string | null> => {
  if (networks) await mkdir("/run/netns", { recursive: true })
  for (const path of ["/run/netns", "/mnt", "/media", "/srv"]) {
    const found = await stat(path).catch(() => null)
    if (found?.isDirectory() && !`${home}/`.startsWith(`${path}/`)) return path
  }
  return null
}
