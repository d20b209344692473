/**
 * The life of a release's container: made, started, healthy, started again by the engine when it
 * ends, and left alone when that is too often. What is known comes from the engine each time, so that
 * it does not matter who made it.
 */

import { countEnds, defaultBackoff, makeBreaker } from "@deploy-mcp/domain/node/Backoff"
import type {
  ImageWorkload,
  ProcessFailure,
  ReleaseObserved
} from "@deploy-mcp/domain/node/NodeProtocol"
import { steadyMillis } from "@deploy-mcp/domain/SteadyMillis"
import { Duration, Effect, Queue } from "effect"
import { awaitAnswer } from "./AwaitAnswer.ts"
import type { Contained } from "./Container.ts"
import type { Event, Inspected } from "./DockerApi.ts"
import type { DockerError } from "./DockerSocket.ts"
import type { Engine } from "./Engine.ts"
import { type Exit, exitOf, explain, type Run, silence } from "./Explain.ts"
import { nanoseconds } from "./LogFrames.ts"
import { notStarted } from "./Make.ts"
import { pause } from "./Retire.ts"

export interface Place {
  /** The container of the release that is there; null: there is none. */
  readonly find: Effect.Effect<Contained | null, DockerError>
  /** Null: nobody wants it to be made. */
  readonly make: (port: number | null) => Effect.Effect<string | ProcessFailure | null, DockerError>
  readonly workload: () => ImageWorkload | null
  /** Why it is not to be started any more; null: it may run. */
  readonly paused: Effect.Effect<ProcessFailure | null, DockerError>
  readonly tell: (
    change: Pick<ReleaseObserved, "state" | "port" | "endpoint" | "restarts" | "failure">
  ) => void
}

/** A host port can be somebody else's. */
const portAttempts = 20

/** Ends when the release has failed for good or is paused, or when nobody wants it to be made. */
export const live = (engine: Engine, place: Place): Effect.Effect<void, DockerError> =>
  Effect.gen(function* () {
    const paused = yield* place.paused
    if (paused !== null) return yield* rest(engine, place, paused)
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
      if (end !== "port taken" && end.code === "paused") return yield* rest(engine, place, end)
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

const rest = (engine: Engine, place: Place, why: ProcessFailure) =>
  Effect.gen(function* () {
    fail(place, why)
    const held = yield* place.find
    if (held !== null) yield* pause(engine, held, why)
  })

/** Until it is gone, has ended too often or, before it was ever healthy, has failed. */
const watch = (engine: Engine, place: Place, held: Contained) =>
  Effect.gen(function* () {
    const { api, settings } = engine
    const events = yield* engine.hear(held.id)
    const restart = countEnds(defaultBackoff)
    const oneTooMany = makeBreaker({ ...defaultBackoff, pauseAfter: settings.restartLimit })
    let there = yield* api.inspect(held.id)
    if (there === null) return "destroyed"
    let restarts = there.RestartCount
    let failure: ProcessFailure | null = null
    // The engine was told to restart it when it was healthy for the first time.
    let everHealthy = there.HostConfig.RestartPolicy.Name !== "no"

    for (;;) {
      if (there.State.Status === "exited" && !everHealthy) {
        const exit = { code: there.State.ExitCode, at: null }
        return yield* explain(engine, { ...held, inspected: there, after: 0n }, exit)
      }
      const obstacle = yield* comeUp(engine, events, there)
      if (obstacle !== null) return obstacle
      const inspected: Inspected | null = yield* api.inspect(held.id)
      if (inspected === null) return "destroyed"
      const run: Run = { ...held, inspected, after: nanoseconds(there.State.FinishedAt) }
      place.tell({ state: "starting", port: null, restarts, failure })

      let end = yield* Effect.raceFirst(
        Effect.map(
          awaitAnswer(askedOf(settings.address, run)),
          (cause) => cause ?? ("healthy" as const)
        ),
        endOf(events, inspected)
      )
      const since = yield* steadyMillis
      if (end === "healthy") {
        if (!everHealthy) yield* keepRunning(engine, held.id)
        everHealthy = true
        failure = null
        place.tell({ ...healthy(settings.address, held), restarts })
        end = yield* endOf(events, inspected)
      }
      if (end === "destroyed") return "destroyed"
      const cause: ProcessFailure =
        "cause" in end
          ? yield* silence(engine, run, end, everHealthy ? settings.grace : atOnce)
          : yield* explain(engine, run, end)
      if (!everHealthy) return cause

      const now = yield* steadyMillis
      const breaking = oneTooMany(cause, now)
      if (breaking !== null) return breaking
      restarts += 1
      const counted = restart(cause, now - since)
      failure = counted.failure
      place.tell({ state: "starting", port: null, restarts, failure })
      there = yield* api.inspect(held.id)
      if (there === null) return "destroyed"
      // The engine leaves it alone when somebody has stopped it.
      if (there.State.Status === "exited") yield* Effect.sleep(counted.pauseMs)
    }
  }).pipe(Effect.scoped)

const atOnce = Duration.seconds(1)

/** Null: it runs. */
const comeUp = (engine: Engine, events: Queue.Dequeue<Event>, { Id, State }: Inspected) =>
  Effect.gen(function* () {
    if (State.Status === "created" || State.Status === "exited") return yield* start(engine, Id)
    if (State.Status !== "restarting") return null
    const isBack = yield* heard(events, ({ Action }) => Action === "start")
    return isBack ? null : "destroyed"
  })

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
const endOf = (
  events: Queue.Dequeue<Event>,
  { State }: Inspected
): Effect.Effect<Exit | "destroyed"> =>
  Effect.gen(function* () {
    const started = nanoseconds(State.StartedAt)
    let end: Exit | "destroyed" = "destroyed"
    yield* heard(events, (event) => {
      // A number of JSON is exact to some hundred nanoseconds only.
      if (BigInt(event.timeNano) / 1_000_000n < started / 1_000_000n) return false
      if (event.Action !== "die") return false
      end = exitOf(event)
      return true
    })
    return end
  })
