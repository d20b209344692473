/** Starts a process without a slot: without being root in an enclave, else in the host's network. */
import { type ChildProcess, spawn } from "node:child_process"
import { chown, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { withDataLimit } from "@deploy-mcp/domain/node/DataLimit"
import { environmentOf } from "./Environment.ts"
import type { Enclave } from "./enclave/Enclave.ts"
import type { Enclosure } from "./enclave/OpenEnclaves.ts"
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
import { firstUser } from "./LaunchInSlot.ts"
import type { Machine } from "./Machine.ts"
import { readLines } from "./OutputLines.ts"
import {
  forgetProcess,
  killRun,
  marker,
  newRun,
  processesOfRun,
  recordProcess
} from "./PidRecords.ts"
import { childrenOf, signalProcess, treeOf } from "./ProcessTree.ts"
import { minimalEnvironment } from "./Program.ts"
import { insideCommand, serviceSandbox } from "./ServiceSandbox.ts"
import { proportionalMemory, residentMemory, standStill } from "./StandStill.ts"
import { findToolchain } from "./Toolchain.ts"
import { cpuSeconds } from "./Usage.ts"

export const launchDirect =
  (machine: Machine, enclosed: Enclosure | null = null): Launch =>
  async (request) => {
    const { directory, path } = request.workload
    const found = await stat(directory).catch(() => null)
    if (!found?.isDirectory()) throw new LaunchError("The built files are missing on this node.")
    const chosen = request.workload.port ?? (enclosed ? 8080 : await freePort())
    const port = request.listens ? chosen : null
    const toolchain = await findToolchain({ path, directory, home: machine.home })
    for (const name of toolchain.refused) {
      request.onLine("platform", `${name} is left out of PATH: it holds the platform's home.`)
    }
    return machine.bwrap && !machine.root
      ? launchSandbox(machine, machine.bwrap, request, port, toolchain, enclosed)
      : launchPlain(machine, request, port, toolchain)
  }

type Binds = Awaited<ReturnType<typeof findToolchain>>

const launchSandbox = async (
  machine: Machine,
  bwrap: string,
  request: LaunchRequest,
  port: number | null,
  toolchain: Binds,
  enclosed: Enclosure | null
): Promise<Launched> => {
  const sources = {
    app: request.workload.directory,
    etc: join(machine.files, "etc"),
    toolchain: toolchain.binds
  }
  const { filter, gvisor } = machine
  const { args, spec } = await serviceSandbox(
    request,
    port,
    toolchain.path,
    sources,
    gvisor
      ? {
          kernel: "gvisor",
          program: gvisor.program,
          spec: kernelDescriptor
        }
      : { kernel: "host", filter: filter === null ? null : kernelDescriptor }
  )
  const kernel = spec ?? (filter === null ? "" : await readFile(filter))
  const command = [
    bwrap,
    ...["--args", String(argsDescriptor), "--info-fd", "3", "--", ...insideCommand(gvisor)]
  ] as const
  const around = enclosed ? enclosed.enclaves.around(command, enclosed.way) : command
  const [file, ...rest] = gvisor ? around : limited(machine, request, around)
  const child = spawn(file, rest, {
    cwd: "/",
    // bwrap ties its life to ours a moment after it has started: until then the mark finds it.
    env: { ...minimalEnvironment, ...marker(newRun(machine.homeId)) },
    stdio: [gvisor ? "pipe" : "ignore", "pipe", "pipe", "pipe", "pipe", "pipe"],
    detached: true
  })
  const inside = firstInside(child)
  // It dies with the edge, but not at once: the next edge waits for it by this record.
  const recorded = inside.then(async (first) => {
    if (first !== null) await recordProcess(machine, first)
    return first
  })
  const tell = (text: string) => request.onLine("platform", text)
  const inhabitant = { port, tell }
  const enclave = enclosed
    ? await enclosed.enclaves.enter(child, enclosed.way, inhabitant).catch((error: Error) => {
        child.kill("SIGKILL")
        throw new LaunchError(`Its network could not be made: ${error.message}.`)
      })
    : null
  feed(child, argsDescriptor, args)
  feed(child, kernelDescriptor, kernel)
  return follow(child, request, port, {
    inside,
    terminate: async (first) =>
      gvisor ? feed(child, 0, "end\n") : terminateService((await childrenOf(first))[0]),
    all: treeOf,
    stops: gvisor ? kernelOf : async (pids) => pids,
    memory: gvisor ? proportionalMemory : residentMemory,
    killRest: async () => {
      const first = await recorded
      if (first !== null) signalProcess(first, "SIGKILL")
    },
    forget: async () => {
      enclave?.close()
      const first = await recorded
      if (first !== null) await forgetProcess(machine, first)
    },
    enclave
  })
}

const argsDescriptor = 4
/** Of the filter of system calls, or of what gVisor is to run. */
const kernelDescriptor = 5

const launchPlain = async (
  machine: Machine,
  request: LaunchRequest,
  port: number | null,
  toolchain: Binds
): Promise<Launched> => {
  const { directory, start } = request.workload
  const own = machine.root && (await everybodyReaches(directory))
  const user = own ? { uid: firstUser + request.tenant, gid: firstUser + request.tenant } : {}
  if (machine.root && !own) {
    request.onLine("platform", "Runs as the platform's own user: others can't reach its files.")
  }
  const run = newRun(machine.homeId)
  const work = await mkdtemp(join(tmpdir(), workPrefix(machine.homeId)))
  const places = { home: join(work, "home"), temporary: join(work, "tmp") }
  for (const path of [places.home, places.temporary]) await mkdir(path)
  if (user.uid !== undefined) {
    for (const path of [work, places.home, places.temporary]) await chown(path, user.uid, user.gid)
  }
  const path = toolchain.path.map((name) =>
    name === "/app" || name.startsWith("/app/") ? directory + name.slice("/app".length) : name
  )
  const [file, ...rest] = limited(machine, request, ["/bin/sh", "-c", start])
  const child = spawn(file, rest, {
    ...user,
    cwd: directory,
    env: {
      ...environmentOf({ port, ...places, path, variables: request.variables }),
      ...marker(run)
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true
  })
  const pid = child.pid ?? 0
  const recorded = child.pid === undefined ? Promise.resolve() : recordProcess(machine, pid)
  return follow(child, request, port, {
    inside: Promise.resolve(child.pid ?? null),
    terminate: terminateService,
    all: (first) => processesOfRun(first, run),
    stops: async (pids) => pids,
    memory: residentMemory,
    killRest: async () => {
      await recorded
      await killRun(machine, pid, run)
    },
    forget: async () => {
      await forgetProcess(machine, pid)
      await rm(work, { recursive: true, force: true })
    }
  })
}

/** Directories for HOME and TMPDIR, to be removed with their process. */
export const workPrefix = (homeId: string): string => `deploy-mcp-work-${homeId}-`

interface Parts {
  /** The first process inside; null: there never was one. */
  readonly inside: Promise<number | null>
  /** Those of them that have to stand still. */
  readonly stops: (pids: ReadonlyArray<number>) => Promise<ReadonlyArray<number>>
  /** Bytes that they hold. */
  readonly memory: (pids: ReadonlyArray<number>) => Promise<number>
  /** Tells the service that it is to end. False: nobody is there to hear it. */
  readonly terminate: (inside: number) => Promise<boolean>
  /** The first one and all that belongs to it. */
  readonly all: (inside: number) => Promise<ReadonlyArray<number>>
  readonly killRest: () => Promise<void>
  readonly forget: () => Promise<void>
  readonly enclave?: Enclave | null
}

const follow = async (
  child: ChildProcess,
  request: LaunchRequest,
  port: number | null,
  parts: Parts
): Promise<Launched> => {
  if (child.stdout) readLines(child.stdout, (line) => request.onLine("stdout", line))
  if (child.stderr) readLines(child.stderr, (line) => request.onLine("stderr", line))
  const pid = child.pid
  if (pid === undefined) {
    const error = await new Promise<Error>((failed) => child.once("error", failed))
    await parts.forget()
    throw new LaunchError(`It could not be started: ${error.message}.`)
  }
  const exited = watchExit(child, async () => {
    await parts.killRest()
    return { outOfMemory: false, started: (await parts.inside) !== null }
  })
  const all = async () => {
    const first = await parts.inside
    return first === null ? [] : parts.all(first)
  }
  const still = standStill(async () => parts.stops(await all()))
  const freeze = async () => {
    await still.freeze()
    return parts.memory(await all())
  }
  const usage = async () => {
    const pids = await all()
    return { memory: await parts.memory(pids), cpu: await cpuSeconds(pids) }
  }
  const terminate = async () => {
    await still.thaw()
    const first = await parts.inside
    return first === null ? false : parts.terminate(first)
  }
  const remove = async () => {
    if (child.exitCode === null && child.signalCode === null) signalProcess(pid, "SIGKILL")
    await parts.killRest()
    await exited
    await parts.forget()
  }
  const { thaw } = still
  return {
    pid,
    host: "127.0.0.1",
    ownNetwork: Boolean(parts.enclave),
    ...(parts.enclave ? { dial: parts.enclave.dial } : {}),
    port,
    exited,
    freeze,
    thaw,
    usage,
    terminate,
    remove
  }
}

/** Without control groups. What is allocated in gVisor, no such limit counts. */
const limited = (
  machine: Machine,
  request: LaunchRequest,
  command: readonly [string, ...Array<string>]
): readonly [string, ...Array<string>] =>
  machine.prlimit ? withDataLimit(machine.prlimit, request.workload.memory, command) : command

const firstInside = (child: ChildProcess): Promise<number | null> =>
  new Promise((found) => {
    const status = child.stdio[3]
    if (!status) return found(null)
    let told = ""
    status.on("data", (chunk: Buffer) => {
      told += chunk.toString()
      const pid = /"child-pid": (\d+)/.exec(told)?.[1]
      if (pid !== undefined) found(Number(pid))
    })
    status.once("close", () => found(null))
    status.on("error", () => found(null))
  })

const everybodyReaches = async (directory: string): Promise<boolean> => {
  for (let at = directory; ; at = dirname(at)) {
    const found = await stat(at).catch(() => null)
    if (!found || (found.mode & 0o001) === 0) return false
    if (at === "/") return true
  }
}
