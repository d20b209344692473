/**
 * The edge beside this control: started when it is not there, adopted when an earlier control left it,
 * started again when it dies, and stopped with SIGTERM when control is stopped for good.
 */
import { spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import type { SandboxChoice } from "@deploy-mcp/domain/node/SandboxChoice"
import { Context, Effect, Fiber, Layer, Schedule } from "effect"
import { Platform } from "./Platform.ts"
import { Succession } from "./standby/Succession.ts"

/** An idle edge stays as small as with less; one that is asked much collects its garbage less often. */
export const edgeFlags = ["--max-semi-space-size=16"]

export class EdgeProcess extends Context.Service<
  EdgeProcess,
  {
    /** Whether it was there already when control started. */
    readonly adopted: boolean
  }
>()("@deploy-mcp/runtime/EdgeProcess") {}

/** What an edge reads from its own environment when it starts. */
export interface EdgeSettings {
  /** What services may call. */
  readonly egress: "public" | "none"
  readonly egressAllow: string
  /** What services run in. */
  readonly sandbox: SandboxChoice
  /** Lines that a service may print in a second. */
  readonly logRate: number
  /** MiB of what a service has printed that are kept. */
  readonly logSize: number
  /** Ends of a process within ten minutes that pause it; 0: none do. */
  readonly restartLimit: number
}

/** `program` is the edge's entry; the Node.js that runs control runs it too. */
export const layer = (
  program: string,
  { egress, egressAllow, sandbox, logRate, logSize, restartLimit }: EdgeSettings
) =>
  Layer.effect(
    EdgeProcess,
    Effect.gen(function* () {
      const { home, appsPort, appsDomain } = yield* Platform
      const succession = yield* Succession
      mkdirSync(join(home, "logs"), { recursive: true, mode: 0o700 })
      const pidFile = join(home, "run", "edge.pid")
      const socket = join("run", "edge.sock") // relative: a socket's path may have 107 bytes at most
      const adopted = yield* answers(socket)
      /** Ours; known before it has written its pid, so that a stop in between finds it. */
      let child: number | null = null

      /** One life of an edge: runs until it has ended. */
      const live = Effect.gen(function* () {
        if (yield* answers(socket)) return yield* untilGone(pidFile)
        yield* Effect.sync(() => rmSync(join(home, socket), { force: true }))
        const environment = {
          PATH: process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin",
          DEPLOY_MCP_HOME: home,
          DEPLOY_MCP_APPS_PORT: String(appsPort),
          DEPLOY_MCP_APPS_DOMAIN: appsDomain,
          DEPLOY_MCP_EGRESS: egress,
          DEPLOY_MCP_EGRESS_ALLOW: egressAllow,
          DEPLOY_MCP_SANDBOX: sandbox,
          DEPLOY_MCP_LOG_RATE: String(logRate),
          DEPLOY_MCP_LOG_SIZE: String(logSize),
          DEPLOY_MCP_RESTART_LIMIT: String(restartLimit)
        }
        yield* runDetached(program, join(home, "logs", "edge.log"), environment, (pid) => {
          child = pid
        })
        child = null
        yield* Effect.logWarning("the edge has ended; starting it again")
      })

      const lives = yield* live.pipe(
        Effect.repeat(Schedule.spaced("100 millis")),
        Effect.forkScoped
      )
      yield* Effect.addFinalizer(() =>
        Effect.gen(function* () {
          yield* Fiber.interrupt(lives)
          if (yield* succession.isAwaited) return
          yield* stop(child ?? pidOf(pidFile))
        })
      )
      return { adopted }
    })
  )

const answers = (socket: string): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const probe = connect(socket)
    const settle = (alive: boolean) => {
      probe.destroy()
      resume(Effect.succeed(alive))
    }
    probe.once("connect", () => settle(true))
    probe.once("error", () => settle(false))
  })

/** Detached: a signal to control's terminal must not reach it. Interrupting leaves it running. */
const runDetached = (
  program: string,
  logFile: string,
  env: Record<string, string>,
  started: (pid: number) => void
) =>
  Effect.callback<void>((resume) => {
    // Appended to, so that the edge can cut it short.
    const log = openSync(logFile, "a", 0o600)
    const child = spawn(process.execPath, [...edgeFlags, program], {
      detached: true,
      stdio: ["ignore", log, log],
      env
    })
    closeSync(log)
    if (child.pid !== undefined) started(child.pid)
    child.unref()
    child.once("exit", () => resume(Effect.void))
    child.once("error", () => resume(Effect.void))
  })

/** An adopted edge is not our child, so its end is not told: look twice a second. */
const untilGone = (pidFile: string) =>
  Effect.sync(() => alive(pidOf(pidFile))).pipe(
    Effect.repeat({ schedule: Schedule.spaced("500 millis"), while: (there) => there }),
    Effect.asVoid
  )

const stop = (pid: number | null) =>
  Effect.gen(function* () {
    if (pid === null || !alive(pid)) return
    yield* Effect.sync(() => process.kill(pid, "SIGTERM"))
    yield* Effect.sync(() => alive(pid)).pipe(
      Effect.repeat({ schedule: Schedule.spaced("20 millis"), while: (there) => there }),
      Effect.timeoutOrElse({
        duration: "15 seconds",
        orElse: () => Effect.sync(() => process.kill(pid, "SIGKILL"))
      })
    )
  }).pipe(Effect.ignore)

const pidOf = (file: string): number | null => {
  try {
    const pid = Number.parseInt(readFileSync(file, "utf8"), 10)
    return pid > 1 ? pid : null
  } catch {
    return null
  }
}

const alive = (pid: number | null): boolean => {
  if (pid === null) return false
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch {
    return false
  }
}

/** In many containers the first process never waits for those that it inherits. */
const isZombie = (pid: number): boolean => {
  try {
    return /\) Z /u.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}
