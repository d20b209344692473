/**
 * The life of a release's container: made, started, healthy, started again by the engine when it
 * ends. What is known comes from the engine each time, so that it does not matter who made it.
 */

import { redactor } from "@deploy-mcp/domain/model/LogLine"
import { countEnds, defaultBackoff } from "@deploy-mcp/domain/node/Backoff"
import { evidenceLines, explainExit, keptLines } from "@deploy-mcp/domain/node/ExplainExit"
import type {
  ImageWorkload,
  ProcessFailure,
  ReleaseObserved
} from "@deploy-mcp/domain/node/NodeProtocol"
import { Clock, Duration, Effect, Queue, Stream } from "effect"
import { awaitAnswer } from "./AwaitAnswer.ts"
import { type Contained, secretsOf } from "./Container.ts"
import type { DockerError, Event, Inspected } from "./DockerApi.ts"
import type { Engine } from "./Engine.ts"
import { lines, nanoseconds, type Printed, secondsText } from "./LogFrames.ts"
import { notStarted } from "./Make.ts"

export interface Place {
  /** The container of the release that is there; null: there is none. */
  readonly find: Effect.Effect<Contained | null, DockerError>
  /** Null: nobody wants it to be made. */
  readonly make: (port: number | null) => Effect.Effect<string | ProcessFailure | null, DockerError>
  readonly workload: () => ImageWorkload | null
  readonly tell: (
    change: Pick<ReleaseObserved, "state" | "port" | "endpoint" | "restarts" | "failure">
  ) => void
}

/** A host port can be somebody else's. */
const portAttempts = 20

/** Ends when the release has failed for good, or when nobody wants it to be made. */
export const live = (engine: Engine, place: Place): Effect.Effect<void, DockerError> =>
  Effect.gen(function* () {
    let port: number | null = null
    let attempts = 0
    for (;;) {
      const held = yield* place.find
      if (held === null) {
        const made = yield* place.make(port)
        if (made === null) return
        if (typeof made !== "string") return fail(place, made)
        continue
      }
      const end = yield* watch(engine, place, held)
      if (end === "destroyed") continue
      if (end === "port taken" && attempts < portAttempts) {
        attempts += 1
        yield* engine.api.remove(held.id)
        continue
      }
      if (end === "port taken") return fail(place, notStarted("No free port was found for it."))
      const isElsewhere = end.code === "wrong_port" && port === null
      if (!isElsewhere || place.workload()?.port !== null) return fail(place, end)
      // Nobody depends on the port that it did not take: it gets the one that it wants.
      port = end.port
      yield* engine.api.remove(held.id)
    }
  })

const fail = (place: Place, failure: ProcessFailure) =>
  place.tell({ state: "failed", port: null, restarts: 0, failure })

type Ended = "destroyed" | { readonly code: number; readonly at: bigint; readonly oom: boolean }

/** Until it is gone or, before it was ever healthy, until it has failed. */
const watch = (engine: Engine, place: Place, held: Contained) =>
  Effect.gen(function* () {
    const { api, settings } = engine
    const events = yield* engine.hear(held.id)
    const restart = countEnds(defaultBackoff)
    let there = yield* api.inspect(held.id)
    if (there === null) return "destroyed"
    let restarts = there.RestartCount
    let failure: ProcessFailure | null = null
    // The engine was told to restart it when it was healthy for the first time.
    let everHealthy = there.HostConfig.RestartPolicy.Name !== "no"

    for (;;) {
      const { Status } = there.State
      if (Status === "exited" && !everHealthy) {
        const run = { ...held, inspected: there, after: 0n }
        return yield* explain(engine, run, { code: there.State.ExitCode, oom: false })
      }
      if (Status === "created" || Status === "exited") {
        const refusal = yield* start(engine, held.id)
        if (refusal !== null) return refusal
      } else if (Status === "restarting") {
        const isBack = yield* heard(events, ({ Action }) => Action === "start")
        if (!isBack) return "destroyed"
      }
      const now: Inspected | null = yield* api.inspect(held.id)
      if (now === null) return "destroyed"
      const run: Run = { ...held, inspected: now, after: nanoseconds(there.State.FinishedAt) }
      place.tell({ state: "starting", port: null, restarts, failure })

      const outcome = yield* Effect.raceFirst(
        Effect.map(awaitAnswer(askedOf(settings.address, run)), (silence) => ({ silence })),
        Effect.map(endOf(events, now), (end) => ({ end }))
      )
      const since = yield* Clock.currentTimeMillis
      let end: Ended | null = "end" in outcome ? outcome.end : null
      let silence = "silence" in outcome ? outcome.silence : null
      if (end === null && silence === null) {
        if (!everHealthy) yield* keepRunning(engine, held.id)
        everHealthy = true
        failure = null
        place.tell({ ...healthy(settings.address, held), restarts })
        end = yield* endOf(events, now)
      }
      if (end === "destroyed") return "destroyed"
      if (silence !== null) silence = yield* withOutput(engine, run, silence)
      const cause: ProcessFailure = silence ?? (yield* explain(engine, run, end))
      if (silence !== null)
        yield* api.stop(held.id, everHealthy ? settings.grace : Duration.seconds(1))
      if (!everHealthy) return cause
      restarts += 1
      const counted = restart(cause, (yield* Clock.currentTimeMillis) - since)
      failure = counted.failure
      place.tell({ state: "starting", port: null, restarts, failure })
      there = yield* api.inspect(held.id)
      if (there === null) return "destroyed"
      // The engine leaves it alone when somebody has stopped it.
      if (there.State.Status === "exited") yield* Effect.sleep(counted.pauseMs)
    }
  }).pipe(Effect.scoped)

/** From one start of a container to its end. */
interface Run extends Contained {
  readonly inspected: Inspected
  /** When the run before it ended. A first line can be older than what the engine calls the start. */
  readonly after: bigint
}

const askedOf = (host: string, { id, inspected, run }: Run) => ({
  ...run,
  id,
  pid: inspected.State.Pid,
  host,
  port: run.port ?? 0,
  hostPort: run.hostPort ?? 0
})

const healthy = (host: string, { run }: Contained) => ({
  state: "healthy" as const,
  port: run.port,
  endpoint: { kind: "endpoint" as const, host, port: run.hostPort ?? 0 },
  failure: null
})

/** Null: it was started. */
const start = ({ api }: Engine, id: string) =>
  Effect.as(api.start(id), null).pipe(
    Effect.catchIf(
      ({ status }) => status >= 400,
      ({ detail }) =>
        Effect.succeed(
          /port is already allocated|address already in use/iu.test(detail)
            ? ("port taken" as const)
            : notStarted(`Docker could not start it: ${detail}.`)
        )
    )
  )

/** It may have ended at this very moment; then that is seen next. */
const keepRunning = ({ api }: Engine, id: string) =>
  api.restartAlways(id).pipe(
    Effect.catchIf(
      ({ status }) => status >= 400,
      () => Effect.void
    )
  )

/** Waits for an event; false: the container is gone. */
const heard = (events: Queue.Dequeue<Event>, wanted: (event: Event) => boolean) =>
  Effect.gen(function* () {
    for (;;) {
      const event = yield* Queue.take(events)
      if (event.Action === "destroy") return false
      if (wanted(event)) return true
    }
  })

/** The end of this run; that of an earlier one may still be waiting to be heard. */
const endOf = (events: Queue.Dequeue<Event>, run: Inspected): Effect.Effect<Ended> =>
  Effect.gen(function* () {
    const started = nanoseconds(run.State.StartedAt)
    let oom = false
    let end: Ended = "destroyed"
    yield* heard(events, ({ Action, Actor, timeNano }) => {
      const at = BigInt(timeNano)
      // A number of JSON is exact to some hundred nanoseconds only.
      if (at / 1_000_000n < started / 1_000_000n) return false
      if (Action === "oom") oom = true
      if (Action !== "die") return false
      end = { code: Number(Actor.Attributes.exitCode ?? 0), at, oom }
      return true
    })
    return end
  })

/** Why it ended, with what it printed in that run. */
const explain = (
  engine: Engine,
  run: Run,
  end: { readonly code: number; readonly oom: boolean; readonly at?: bigint } | null
) =>
  Effect.gen(function* () {
    const printed = yield* outputOf(engine, run, end?.at)
    const now = yield* engine.api.inspect(run.id)
    const isSame = now?.State.StartedAt === run.inspected.State.StartedAt
    const exit = {
      code: end?.code ?? null,
      signal: null,
      outOfMemory: end?.oom === true || (isSame && now?.State.OOMKilled === true),
      started: true
    }
    return explainExit(exit, { ownNetwork: true }, { memory: run.run.memory, port: null }, printed)
  })

/** What it printed explains best why it does not listen. */
const withOutput = (engine: Engine, run: Run, silence: ProcessFailure) =>
  silence.evidence.length > 0
    ? Effect.succeed(silence)
    : Effect.map(outputOf(engine, run), (printed) => ({
        ...silence,
        evidence: printed.slice(-evidenceLines)
      }))

const outputOf = (
  { api }: Engine,
  run: Run,
  until?: bigint
): Effect.Effect<ReadonlyArray<string>, DockerError> =>
  Effect.gen(function* () {
    const redact = redactor(secretsOf(run.inspected, run.run))
    const frames = yield* api.logs(run.id, {
      tail: keptLines,
      follow: false,
      ...(run.after > 0n ? { since: secondsText(run.after + 1n) } : {}),
      ...(until === undefined ? {} : { until: secondsText(until) })
    })
    const printed = yield* Stream.runCollect(lines(frames))
    return printed.map(({ text }: Printed) => redact(text))
  }).pipe(Effect.scoped)
