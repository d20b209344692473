/**
 * A place that a process can be started in at once: its network, its fence, its control group, and
 * a shell that waits inside of them. Nothing in it belongs to a tenant yet.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import type { Readable, Writable } from "node:stream"
import {
  type ControlGroup,
  joinFiles,
  makeControlGroup,
  removeControlGroup
} from "./ControlGroup.ts"
import type { Machine, SlotTools } from "./Machine.ts"
import { makeNetwork, type Network, namespacePrefix, removeNetwork } from "./Network.ts"
import { signalProcess } from "./ProcessTree.ts"
import { minimalEnvironment } from "./Program.ts"
import { insideCommand } from "./ServiceSandbox.ts"
import {
  enterGvisor,
  enterPlain,
  enterSandbox,
  insidePlain,
  prepare,
  slotWishDescriptor
} from "./SlotScript.ts"

export interface Slot {
  readonly network: Network | null
  readonly group: ControlGroup | null
  readonly shell: SlotShell
  /** Kills what is inside and removes everything. May be called twice. */
  readonly remove: () => Promise<void>
}

export interface SlotShell {
  readonly pid: number
  readonly child: ChildProcess
  readonly input: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** The process inside, once it runs. Null: it never came to that. */
  readonly inside: Promise<number | null>
}

export const makeSlot = async (
  machine: Machine,
  tools: SlotTools,
  nursery: string | null
): Promise<Slot> => {
  const name = `${namespacePrefix(machine.homeId)}${randomBytes(4).toString("hex")}`
  let network: Network | null = null
  let group: ControlGroup | null = null
  let child: ChildProcess | null = null
  let removing: Promise<void> | null = null
  const remove = async () => {
    if (child?.pid !== undefined && child.exitCode === null) signalProcess(child.pid, "SIGKILL")
    if (group) await removeControlGroup(group)
    if (network && tools.network) await removeNetwork(tools.network, network)
  }
  const removeOnce = () => {
    removing ??= remove()
    return removing
  }
  try {
    if (machine.controlGroups) group = await makeControlGroup(machine.controlGroups, name)
    if (tools.network && nursery !== null) {
      network = await makeNetwork(tools.network, machine.homeId, nursery)
    }
    child = spawnShell(machine, tools, network, group)
    return { network, group, shell: await waitUntilReady(child), remove: removeOnce }
  } catch (error) {
    await removeOnce()
    throw error
  }
}

const spawnShell = (
  machine: Machine,
  tools: SlotTools,
  network: Network | null,
  group: ControlGroup | null
): ChildProcess => {
  const enter = machine.gvisor ? enterGvisor : machine.bwrap ? enterSandbox : enterPlain
  const script = prepare + enter
  const groups = group ? joinFiles(group) : []
  const shell = [
    ...[tools.unshare, "--mount", "--", "/bin/sh", "-c", script, "slot"],
    ...[tools.stage, machine.files, network?.address ?? "", tools.network?.ip ?? ""],
    ...[tools.nft ?? "", machine.bwrap ?? "", machine.home],
    tools.network?.forwards ? (network?.hostAddress ?? "") : "",
    ...[machine.filter ?? "", String(groups.length), ...groups],
    ...(machine.bwrap ? insideCommand(machine.gvisor) : ["/bin/sh", "-c", insidePlain])
  ]
  const command = network
    ? [tools.nsenter, `--net=/run/netns/${network.namespace}`, "--", ...shell]
    : shell
  const [file = "", ...args] = command
  return spawn(file, args, {
    cwd: "/",
    env: minimalEnvironment,
    stdio: Array.from(
      { length: 1 + (machine.gvisor ? slotWishDescriptor : 3) },
      () => "pipe" as const
    ),
    detached: true
  })
}

const waitUntilReady = (child: ChildProcess): Promise<SlotShell> =>
  new Promise((resolve, reject) => {
    const { stdin, stdout, stderr, pid } = child
    const status = child.stdio[3]
    child.once("error", reject)
    if (!stdin || !stdout || !stderr || pid === undefined || !isReadable(status)) return
    // Its shell may end at any time; whoever waits for its exit learns of it.
    stdin.on("error", () => {})
    let words = ""
    const collect = (chunk: Buffer) => {
      words += chunk.toString()
    }
    stderr.on("data", collect)
    const failed = () => reject(new Error(words.trim().split("\n").at(-1) || "its shell ended"))
    child.once("close", failed)
    let told = ""
    let ready = false
    const inside = new Promise<number | null>((found) => {
      status.on("data", (chunk: Buffer) => {
        told += chunk.toString()
        const pidInside = /"child-pid": (\d+)/.exec(told)?.[1]
        if (pidInside !== undefined) found(Number(pidInside))
        if (ready || !told.startsWith("ready\n")) return
        ready = true
        child.off("close", failed)
        // Off, and paused: what the tenant prints must wait for its own reader.
        stderr.off("data", collect).pause()
        resolve({ pid, child, input: stdin, stdout, stderr, inside })
      })
      status.once("close", () => found(null))
      status.on("error", () => found(null))
    })
  })

const isReadable = (stream: unknown): stream is Readable =>
  typeof stream === "object" && stream !== null && "on" in stream && "read" in stream
