/** What this machine allows, probed once: the strongest fence that really works is used. */
import { mkdir, realpath, stat } from "node:fs/promises"
import { join } from "node:path"
import { type ControlGroups, findControlGroups } from "./ControlGroup.ts"
import type { EnclaveTools } from "./enclave/Enclave.ts"
import type { NetworkTools } from "./Network.ts"
import { findProgram, systemDirectories } from "./Program.ts"
import { writeSlotFiles } from "./SlotFiles.ts"
import { type SeenInside, trySandbox } from "./TrySandbox.ts"

export interface Machine {
  readonly home: string
  readonly homeId: string
  readonly root: boolean
  /** Null: no sandbox. */
  readonly bwrap: string | null
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

export const probeMachine = async (givenHome: string, homeId: string): Promise<Machine> => {
  await mkdir(givenHome, { recursive: true })
  const home = await realpath(givenHome)
  const notes: Array<string> = []
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
  const sandbox = bwrap ? await trySandbox(bwrap, files) : null
  if (sandbox) notes.push(...sandbox.notes)
  else notes.push("Processes are not sandboxed: bubblewrap (bwrap) is not installed.")
  return {
    home,
    homeId,
    root,
    bwrap: sandbox?.seen ? bwrap : null,
    seen: sandbox?.seen ?? null,
    filter: sandbox?.filter ?? null,
    prlimit,
    enclave: sandbox?.seen ? enclave : null,
    slots,
    controlGroups,
    files,
    notes
  }
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
