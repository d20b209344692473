/**
 * The data plane of a node: keeps what control wants, runs and serves it, and goes on by itself when
 * control is away. One for each home.
 */
import { createHash } from "node:crypto"
import { mkdir, realpath } from "node:fs/promises"
import { availableParallelism, totalmem } from "node:os"
import { join } from "node:path"
import type { Role } from "@deploy-mcp/domain/node/NodeProtocol"
import { makeApps } from "./Apps.ts"
import { writeAtomic } from "./AtomicFile.ts"
import { type ControlSocket, makeControlSocket } from "./ControlSocket.ts"
import { makeConversation } from "./Conversation.ts"
import { makeConversations } from "./Conversations.ts"
import { type DesiredStates, loadDesiredStates } from "./DesiredStates.ts"
import { makeFileCache } from "./FileCache.ts"
import { frozenMemory } from "./FrozenMemory.ts"
import { claimHome, type Home, releaseSocket } from "./Home.ts"
import { defaultLimits, type Limits } from "./Limits.ts"
import { makeListener } from "./Listener.ts"
import type { Log } from "./Log.ts"
import { makeMeasure } from "./Measure.ts"
import { meterProcesses } from "./MeteredProcesses.ts"
import { makeMeters } from "./Meters.ts"
import { loadNodeKey } from "./NodeKey.ts"
import type { Processes, ProcessesOptions } from "./process/Processes.ts"
import { loadRunRecords } from "./RunRecords.ts"
import { makeRuntimeLog } from "./RuntimeLog.ts"
import { loadSleepers } from "./Sleepers.ts"
import { type Hostnames, makeStages } from "./Stages.ts"
import { makeStartQueue } from "./StartQueue.ts"
import { realTime, type Time } from "./Time.ts"
import { makeVariants } from "./Variants.ts"

export interface EdgeOptions {
  /** Folder of all state; made when it is missing. */
  readonly home: string
  /** Where apps are served until control says otherwise, on 127.0.0.1. 0: any port. */
  readonly appsPort: number
  /** A hostname's label is served as `<label>.<appsDomain>`. */
  readonly appsDomain: string
  readonly makeProcesses: (options: ProcessesOptions) => Promise<Processes>
  readonly log: Log
  /** Milliseconds that requests to a retired release get to finish. */
  readonly drainMs?: number
  /** Milliseconds between SIGTERM and SIGKILL for processes. */
  readonly graceMs?: number
  /** Milliseconds that a request waits for a release that starts. */
  readonly holdMs?: number
  /** The same for somebody at a browser, who then sees a page that asks again. */
  readonly lookMs?: number
  /** How many requests may wait for one stage. */
  readonly places?: number
  /** Milliseconds without a byte after which a process is not waited for any longer. */
  readonly idleMs?: number
  /** Milliseconds that a connection to a release may take to come about. */
  readonly connectMs?: number
  /** Bytes of memory that sleeping releases may hold together before some of them are stopped. */
  readonly frozenBytes?: number
  /** Milliseconds that a release sleeps in memory before it is stopped. */
  readonly frozenMs?: number
  /** Lines that a service may print in a second. */
  readonly logRate?: number
  /** Bytes of what a service has printed that are kept. */
  readonly logBytes?: number
  /** What schedules go by. */
  readonly time?: Time
  /** What differs from the default ones. */
  readonly limits?: Partial<Limits>
}

export interface Edge {
  readonly appsPort: number
  /** Stops accepting, gives those being answered up to 5 s, stops all processes. May be called twice. */
  readonly close: () => Promise<void>
  /** Resolves when it has ended, also by itself. */
  readonly closed: Promise<void>
}

/** Rejects with HomeIsHeld when a living edge has this home. */
export const startEdge = async (options: EdgeOptions): Promise<Edge> => {
  await mkdir(options.home, { recursive: true, mode: 0o700 })
  const home = await realpath(options.home)
  const control = makeControlSocket()
  const held = await claimHome(home, control.server)
  try {
    return await serve(options, home, control, held)
  } catch (error) {
    releaseSocket(home, control.close)
    await held.leave()
    throw error
  }
}

const serve = async (
  options: EdgeOptions,
  home: string,
  control: ControlSocket,
  held: Home
): Promise<Edge> => {
  const { log } = options
  const folder = join(home, "edge")
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const nodeKey = await loadNodeKey(folder)
  const [desired, plain] = await Promise.all([
    loadDesiredStates(folder, log),
    options.makeProcesses({ home, homeId: homeIdOf(home) })
  ])
  const meters = makeMeters()
  const runtimeLog = makeRuntimeLog({
    folder: join(home, "logs", "runtime"),
    log,
    ...(options.logRate === undefined ? {} : { linesPerSecond: options.logRate }),
    ...(options.logBytes === undefined ? {} : { bytes: options.logBytes }),
    onDropped: (stage, lines) => {
      meters.of(stage).droppedLines += lines
    }
  })
  // For who asks about this machine without asking the platform.
  const fences = JSON.stringify({ pid: process.pid, isolation: plain.isolation })
  await writeAtomic(join(home, "run", "isolation.json"), fences)
  const processes = meterProcesses(plain, meters)
  const sleepers = await loadSleepers({
    folder: join(folder, "asleep"),
    log,
    listed: releasesOf(desired),
    frozenBytes: options.frozenBytes ?? frozenMemory(totalmem(), process.constrainedMemory()),
    frozenMs: options.frozenMs ?? 24 * 60 * 60_000
  })
  const runRecords = await loadRunRecords({
    folder: join(folder, "runs"),
    log,
    listed: new Set(desired.of.deploy.stages.keys())
  })
  const starts = makeStartQueue(4 * availableParallelism())
  const fileCache = makeFileCache()
  const variants = makeVariants({
    folder: join(folder, "compressed"),
    log,
    onPruned: () => fileCache.forget("")
  })
  const hostnames: Hostnames = new Map()
  const stagesOf = (role: Role) =>
    makeStages(hostnames, {
      processes,
      nodeKey,
      runtimeLog,
      emit: (observation) => control.emit(role, observation),
      // A log goes on for whoever wants the stage again, also in the other role.
      onGone: (stage) => {
        if (!roles.every((one) => !desired.of[one].stages.has(stage))) return
        runtimeLog.remove(stage)
        meters.forget(stage)
        processes.forget(stage)
        runRecords.forget(stage)
      },
      onRunEnd: (stage, outcome) => {
        const { runs } = meters.of(stage)
        runs[outcome] = (runs[outcome] ?? 0) + 1
      },
      time: options.time ?? realTime,
      runRecords,
      fileCache,
      variants,
      starts,
      sleepers,
      drainMs: options.drainMs ?? 30_000,
      graceMs: options.graceMs ?? 10_000
    })
  const stages = { deploy: stagesOf("deploy"), ingress: stagesOf("ingress") }
  const { appsDomain, connectMs = 5_000, idleMs = 300_000 } = options
  const { holdMs = 10_000, lookMs = Math.min(1_500, holdMs), places = 1_000 } = options
  const patience = { holdMs, lookMs, places }
  const limits = { ...defaultLimits, ...options.limits }
  const apps = makeApps({ hostnames, meters, appsDomain, patience, idleMs, connectMs, limits })
  const listener = makeListener(apps, limits)
  // First, but nobody is heard before they are all there: what they start would only keep it waiting.
  const listening = listener.move(options.appsPort)
  for (const role of roles) {
    for (const spec of desired.of[role].stages.values()) stages[role].put(spec)
  }
  await listening
  if (listener.problem !== null) log(listener.problem)
  const { isolation } = processes
  const { publicKey } = nodeKey
  const measure = makeMeasure({ hostnames, listener, meters, processes, starts })
  const conversation = (role: Role) =>
    makeConversation(role, {
      measure,
      desired,
      isolation,
      listener,
      log,
      nodeKey: publicKey,
      runtimeLog,
      stages
    })
  control.open(
    makeConversations({ deploy: conversation("deploy"), ingress: conversation("ingress") })
  )
  const count = roles.reduce((sum, role) => sum + desired.of[role].stages.size, 0)
  log(`serves ${count} stages at port ${listener.port}`)

  const { promise: closed, resolve } = Promise.withResolvers<void>()
  let closing = false
  const close = async (): Promise<void> => {
    if (closing) return await closed
    closing = true
    // Control hears nothing of this: what stops here is not what it wants to be stopped.
    releaseSocket(home, control.close)
    await listener.close(5_000)
    await Promise.all([...roles.map((role) => stages[role].close()), variants.close()])
    await Promise.all([sleepers.close(), runRecords.close()])
    await processes.close()
    await runtimeLog.close()
    await held.leave()
    resolve()
  }
  void held.vanished.then(() => {
    log("the home is gone")
    return close()
  })
  return {
    get appsPort() {
      return listener.port
    },
    close,
    closed
  }
}

const roles = ["deploy", "ingress"] as const

const releasesOf = ({ of }: DesiredStates): ReadonlySet<string> => {
  const specs = roles.flatMap((role) => [...of[role].stages.values()])
  return new Set(specs.flatMap(({ releases }) => releases.map(({ release }) => release)))
}

const homeIdOf = (home: string): string =>
  createHash("sha256").update(home).digest("hex").slice(0, 8)
