/** One connection to an engine, from hello to its end: who hears which event, and the stages. */
import { createHash } from "node:crypto"
import type { Observation } from "@deploy-mcp/domain/Deploy"
import type { StageId } from "@deploy-mcp/domain/model/Ids"
import { type Isolation, protocolVersion } from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect, Queue, Scope, Semaphore, Stream } from "effect"
import { type Contained, containedIn, happeningTo, platformLabel } from "./Container.ts"
import * as DockerApi from "./DockerApi.ts"
import type { DockerError } from "./DockerSocket.ts"
import type { Engine, Settings } from "./Engine.ts"
import type { NodeKey } from "./NodeState.ts"
import type { Paused } from "./Paused.ts"
import { makeStage, type Stage } from "./Stage.ts"

export interface Session {
  readonly engine: Engine
  readonly stage: (id: StageId) => Effect.Effect<Stage>
  /** Stages that the engine or this session know of. */
  readonly known: Effect.Effect<ReadonlyArray<StageId>, DockerError>
  /** Handles what the engine tells, until it goes away. */
  readonly listen: Effect.Effect<void, DockerError>
}

export interface SessionOptions {
  readonly socket: string
  readonly settings: Settings
  readonly key: NodeKey
  readonly paused: Paused
  readonly epoch: number
  readonly out: Queue.Enqueue<Observation>
}

export const open = ({
  epoch,
  key,
  out,
  paused,
  settings,
  socket
}: SessionOptions): Effect.Effect<Session, DockerError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const api = yield* DockerApi.connect(socket)
    const info = yield* api.info
    const platform = platformOf(key)
    const ears = new Map<string, Set<Queue.Enqueue<DockerApi.Event>>>()
    const ooms = new Map<string, bigint>()
    const stages = new Map<StageId, Stage>()

    const engine: Engine = {
      api,
      settings,
      key,
      paused,
      platform,
      making: yield* Semaphore.make(1),
      hear: (id) =>
        Effect.acquireRelease(Queue.unbounded<DockerApi.Event>(), (queue) =>
          Effect.sync(() => ears.get(id)?.delete(queue))
        ).pipe(
          Effect.tap((queue) =>
            Effect.sync(() => ears.set(id, (ears.get(id) ?? new Set()).add(queue)))
          )
        ),
      lastOom: (container) => ooms.get(container) ?? 0n,
      tell: (observed) => Queue.offerUnsafe(out, observed)
    }
    const containers = Effect.map(api.containers([platformLabel(platform)]), (found) =>
      found.flatMap((one) => containedIn(one) ?? [])
    )
    // Here they begin to wait: what happens from now on is not missed.
    const events = yield* api.events(platformLabel(platform))

    const stage = (id: StageId) =>
      Effect.gen(function* () {
        const held = stages.get(id) ?? (yield* makeStage(engine, id))
        stages.set(id, held)
        return held
      }).pipe(Effect.provideService(Scope.Scope, scope))

    const listen = Stream.runForEach(events, (event) =>
      Effect.gen(function* () {
        const about = happeningTo(event)
        if (about === null) return
        if (event.Action === "oom") ooms.set(about.id, BigInt(event.timeNano))
        if (event.Action === "destroy") ooms.delete(about.id)
        for (const id of [about.id, about.stage]) {
          for (const ear of ears.get(id) ?? []) Queue.offerUnsafe(ear, event)
        }
        const held = stages.get(about.stage)
        if (held !== undefined && ["die", "destroy"].includes(event.Action)) yield* held.nudge
      })
    )

    const there = yield* containers
    yield* Queue.offer(out, {
      type: "hello",
      protocol: protocolVersion,
      pid: process.pid,
      epoch,
      revision: 0,
      nodeKey: key.publicKey,
      appsPort: 0,
      problem: null,
      isolation: isolationOf(info, settings)
    })
    for (const [id, found] of byStage(there)) {
      const releases = found
        .filter(({ ended, worker }) => worker === null && !ended)
        .map(({ release }) => release)
      yield* Effect.flatMap(stage(id), (held) => held.adopt([...new Set(releases)]))
    }
    return {
      engine,
      stage,
      known: Effect.map(containers, (all) => [
        ...new Set([...stages.keys(), ...all.map((one) => one.stage)])
      ]),
      listen
    }
  })

/** Another platform on the same engine has another key. */
const platformOf = ({ publicKey }: NodeKey): string =>
  createHash("sha256").update(publicKey).digest("hex").slice(0, 12)

const byStage = (all: ReadonlyArray<Contained>): Map<StageId, ReadonlyArray<Contained>> =>
  Map.groupBy(all, ({ stage }) => stage)

const isolationOf = (info: DockerApi.Info, settings: Settings): Isolation => {
  const security = info.SecurityOptions ?? []
  const has = (name: string) => security.some((option) => option.startsWith(`name=${name}`))
  const limits = {
    memory: info.MemoryLimit,
    cpu: info.CpuCfsQuota,
    pids: info.PidsLimit
  }
  const missing = Object.entries(limits).flatMap(([name, holds]) => (holds ? [] : [name]))
  const notes = ["Containers reach the internet, and what listens on this host's own addresses."]
  if (missing.length > 0) notes.push(`Not limited by this engine: ${missing.join(", ")}.`)
  if (!info.SwapLimit) notes.push("A service can use swap beyond its memory.")
  if (!has("userns") && !has("rootless"))
    notes.push(
      "Root in a container is this host's root without capabilities, unless its image names a user."
    )
  if (!has("seccomp")) notes.push("The engine filters no system calls (seccomp).")
  if (settings.writable) notes.push("Nothing limits how much a container writes to its own files.")
  if (!info.LiveRestoreEnabled)
    notes.push(
      "A restart of Docker itself restarts the services too; live-restore would keep them."
    )
  if (process.getuid?.() !== 0)
    notes.push("The platform is not root: which port a container really listens on can't be seen.")
  return { level: "container", network: true, limits, notes }
}
