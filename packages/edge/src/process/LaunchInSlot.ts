/** Starts a process as its owner's own user inside a prepared slot. For an edge that is root. */
import { stat } from "node:fs/promises"
import { basename, dirname } from "node:path"
import {
  canFreeze,
  freeze,
  limitControlGroup,
  memoryOfGroup,
  outOfMemoryKills,
  thaw
} from "./ControlGroup.ts"
import { environmentOf, shellAssignments, shellQuote } from "./Environment.ts"
import { freePort } from "./FreePort.ts"
import { kernelOf } from "./gvisor/KernelOf.ts"
import {
  feed,
  type Launch,
  LaunchError,
  type Launched,
  type LaunchRequest,
  terminateService,
  watchExit
} from "./Launch.ts"
import type { Machine, SlotTools } from "./Machine.ts"
import { readLines } from "./OutputLines.ts"
import {
  forgetProcess,
  killRun,
  marker,
  newRun,
  processesOfRun,
  recordProcess
} from "./PidRecords.ts"
import { childrenOf, treeOf } from "./ProcessTree.ts"
import { type ServiceSandbox, serviceSandbox } from "./ServiceSandbox.ts"
import type { Slot } from "./Slot.ts"
import type { SlotPool } from "./SlotPool.ts"
import { slotFilterDescriptor, slotSpecDescriptor, slotWishDescriptor } from "./SlotScript.ts"
import { proportionalMemory, residentMemory, standStill } from "./StandStill.ts"
import { findToolchain } from "./Toolchain.ts"
import { cpuSeconds } from "./Usage.ts"

/** Host users of owners: 200000 and up, which no distribution gives out. */
export const firstUser = 200_000

export const launchInSlot =
  (machine: Machine, tools: SlotTools, pool: SlotPool): Launch =>
  async (request) => {
    const { directory, path } = request.workload
    const [slot, toolchain] = await Promise.all([
      pool.take(),
      findToolchain({ path, directory, home: machine.home })
    ])
    try {
      for (const name of toolchain.refused) {
        request.onLine("platform", `${name} is left out of PATH: it holds the platform's home.`)
      }
      const found = await stat(directory).catch(() => null)
      if (!found?.isDirectory()) throw new LaunchError("The built files are missing on this node.")
      if ((found.mode & 0o005) !== 0o005) {
        throw new LaunchError("The built files can't be read by the service's own user.")
      }
      if (slot.group) await limitControlGroup(slot.group, request.workload)
      const port = request.listens ? await portFor(request, slot) : null
      const run = newRun(machine.homeId)
      const staged = (index: number) => `${tools.stage}/${index}`
      const inside = machine.bwrap
        ? await sandboxInput(machine, tools, request, port, toolchain, staged)
        : { args: plainInput(tools, request, port, toolchain, staged, run), spec: null }
      const lines = [
        String(firstUser + request.tenant),
        String(request.workload.memory),
        directory,
        ...toolchain.binds.map((bind) => bind.source),
        ...(machine.gvisor ? [dirname(machine.gvisor.program)] : []),
        ""
      ]
      if (lines.some((line) => line.includes("\n"))) {
        throw new LaunchError("The names of directories can't contain line breaks.")
      }
      const launched = follow(machine, slot, request, port, run)
      if (inside.spec !== null) feed(slot.shell.child, slotSpecDescriptor, inside.spec)
      slot.shell.input.end(`${lines.join("\n")}\n${inside.args}`)
      return launched
    } catch (error) {
      await slot.remove()
      throw error
    }
  }

const portFor = async ({ workload }: LaunchRequest, { network }: Slot): Promise<number> =>
  workload.port ?? (network ? 8080 : await freePort())

type Binds = Awaited<ReturnType<typeof findToolchain>>

const sandboxInput = (
  machine: Machine,
  tools: SlotTools,
  request: LaunchRequest,
  port: number | null,
  toolchain: Binds,
  staged: (index: number) => string
): Promise<ServiceSandbox> => {
  const sources = {
    app: staged(0),
    etc: `${tools.stage}/etc`,
    toolchain: toolchain.binds.map(({ target }, index) => ({ source: staged(index + 1), target }))
  }
  const { filter, gvisor } = machine
  return serviceSandbox(
    request,
    port,
    toolchain.path,
    sources,
    gvisor
      ? {
          kernel: "gvisor",
          program: `${staged(toolchain.binds.length + 1)}/${basename(gvisor.program)}`,
          spec: slotSpecDescriptor
        }
      : { kernel: "host", filter: filter === null ? null : slotFilterDescriptor }
  )
}

/** Without a sandbox there is one tree for all: directories are called what the slot calls them. */
const plainInput = (
  tools: SlotTools,
  request: LaunchRequest,
  port: number | null,
  toolchain: Binds,
  staged: (index: number) => string,
  run: string
): string => {
  const place = (directory: string): string => {
    const index = toolchain.binds.findIndex((bind) => `${directory}/`.startsWith(`${bind.target}/`))
    const bind = toolchain.binds[index]
    if (bind) return staged(index + 1) + directory.slice(bind.target.length)
    return directory.startsWith("/app") ? staged(0) + directory.slice("/app".length) : directory
  }
  const variables = environmentOf({
    port,
    home: `${tools.stage}/home`,
    temporary: "/tmp",
    path: toolchain.path.map(place),
    variables: request.variables
  })
  return `${shellAssignments({ ...variables, ...marker(run) })}start=${shellQuote(
    request.workload.start
  )}\n`
}

const follow = (
  machine: Machine,
  slot: Slot,
  request: LaunchRequest,
  port: number | null,
  run: string
): Launched => {
  const { child, inside, pid, stderr, stdout } = slot.shell
  readLines(stdout, (line) => request.onLine("stdout", line))
  readLines(stderr, (line) => request.onLine("stderr", line))
  const recorded = machine.bwrap ? Promise.resolve() : recordProcess(machine, pid)
  const killRest = async () => {
    await recorded
    if (!machine.bwrap) await killRun(machine, pid, run)
  }
  const exited = watchExit(child, async () => {
    const killed = slot.group ? await outOfMemoryKills(slot.group) : 0
    await killRest()
    return { outOfMemory: killed > 0, started: (await inside) !== null }
  })
  const all = () => (machine.bwrap ? treeOf(pid) : processesOfRun(pid, run))
  const still = standStill(async () => (machine.gvisor ? kernelOf(await all()) : all()))
  const memory = async () => {
    const counted = slot.group ? await memoryOfGroup(slot.group) : null
    return counted ?? (machine.gvisor ? proportionalMemory : residentMemory)(await all())
  }
  const freezeAll = async () => {
    if (slot.group && canFreeze(slot.group) && !machine.gvisor) await freeze(slot.group)
    else await still.freeze()
    return memory()
  }
  const thawAll = async () => {
    if (slot.group) await thaw(slot.group)
    await still.thaw()
  }
  const terminate = async () => {
    await thawAll()
    const first = await inside
    if (first === null) return false
    if (machine.gvisor) return feed(child, slotWishDescriptor, "end\n")
    return terminateService(machine.bwrap ? (await childrenOf(first))[0] : first)
  }
  const remove = async () => {
    await slot.remove()
    await killRest()
    await exited
    await forgetProcess(machine, pid)
  }
  return {
    pid,
    host: slot.network?.address ?? "127.0.0.1",
    ownNetwork: slot.network !== null,
    port,
    exited,
    freeze: freezeAll,
    thaw: thawAll,
    usage: async () => ({ memory: await memory(), cpu: await cpuSeconds(await all()) }),
    terminate,
    remove
  }
}
