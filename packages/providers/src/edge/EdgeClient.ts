/**
 * Control's side of the edge's socket, for one role. Two services are provided by the same edge, so what
 * both say to it stands here, beside them: it knows the node protocol and no provider.
 */
import { Unavailable } from "@deploy-mcp/domain/Fault"
import type { LogLine } from "@deploy-mcp/domain/model/LogLine"
import type { NodeMetrics } from "@deploy-mcp/domain/node/NodeMetrics"
import {
  type EdgeHello,
  type FromEdge,
  type LogLines,
  protocolVersion,
  type ReleaseObserved,
  type Role,
  type RouteObserved,
  type StageSpec,
  type ToEdge
} from "@deploy-mcp/domain/node/NodeProtocol"
import { Config, Deferred, Effect, Queue, Schedule, Stream } from "effect"
import * as EdgeConnection from "./EdgeConnection.ts"

export const config = Config.all({
  /** The edge's socket, relative to the home because a socket's path may have 107 bytes at most. */
  socket: Config.String("socket").pipe(Config.withDefault("run/edge.sock")),
  /** Where the edge listens for visitors, on 127.0.0.1; a running one moves there. */
  appsPort: Config.Port("apps_port").pipe(Config.withDefault(8080))
})

export type EdgeObservation =
  | EdgeHello
  | ReleaseObserved
  | RouteObserved
  | { readonly type: "away" }

type LogsRequest = Extract<ToEdge, { readonly type: "logs" }>

export interface EdgeClient {
  /** Speaks for `epoch` while the stream runs, and connects again as often as it takes. */
  readonly attach: (epoch: number) => Stream.Stream<EdgeObservation>
  /** Each returns when the edge has accepted it and it is on its disk. */
  readonly snapshot: (stages: ReadonlyArray<StageSpec>) => Effect.Effect<void, Unavailable>
  readonly ensure: (spec: StageSpec) => Effect.Effect<void, Unavailable>
  readonly remove: (
    stage: StageSpec["stage"],
    generation: number
  ) => Effect.Effect<void, Unavailable>
  /** Null: it does not answer, or is older than what is asked. */
  readonly measure: Effect.Effect<NodeMetrics | null>
  readonly logs: (
    query: Omit<LogsRequest, "type" | "id">
  ) => Stream.Stream<LogLine & { readonly release: string }, Unavailable>
}

export const make = (
  role: Role,
  { appsPort, socket }: Config.Success<typeof config>
): EdgeClient => {
  /** Set from the edge's greeting on. */
  let connection: EdgeConnection.EdgeConnection | null = null
  let epoch = 0
  let revision = 0
  let requests = 0
  let version = protocolVersion
  let complaint = ""
  const accepted = new Map<number, Deferred.Deferred<void, Unavailable>>()
  const logs = new Map<number, Queue.Queue<LogLines, "lost">>()
  const measurements = new Map<number, Deferred.Deferred<NodeMetrics | null>>()
  let measures = false

  /** One connection from hello to its end. */
  const converse = (out: Queue.Enqueue<EdgeObservation>) =>
    Effect.gen(function* () {
      const opened = yield* EdgeConnection.open(socket)
      const greet = Effect.suspend(() =>
        opened.send({ type: "hello", protocol: version, epoch, appsPort, role })
      )
      yield* greet
      yield* opened.receive((message) => {
        if (message.type === "hello") {
          connection = opened
          measures = message.measures === true
        }
        return Effect.andThen(
          handle(message, out),
          message.type === "hello" && message.problem !== null
            ? Effect.forkScoped(Effect.delay(greet, portRetry))
            : Effect.void
        )
      })
    }).pipe(
      Effect.scoped,
      Effect.ensuring(Effect.suspend(() => forget(out))),
      Effect.catch(() => Effect.void)
    )

  const handle = (
    message: FromEdge,
    out: Queue.Enqueue<EdgeObservation>
  ): Effect.Effect<unknown> => {
    switch (message.type) {
      case "hello":
      case "release":
      case "route":
        return Queue.offer(out, message)
      case "applied":
        return settle(message.revision, Effect.void)
      case "refused":
        return connection === null
          ? notGreeted(message.reason)
          : Effect.andThen(
              complain(`revision ${message.revision}`, message.reason),
              settle(message.revision, unavailable(message.reason))
            )
      case "metrics": {
        const waiting = measurements.get(message.id)
        return waiting === undefined ? Effect.void : Deferred.succeed(waiting, message)
      }
      case "lines": {
        const queue = logs.get(message.id)
        return queue === undefined ? Effect.void : Queue.offer(queue, message)
      }
    }
  }

  /**
   * An edge of the version before has no words for this one: the next connection speaks its own. It
   * takes every control for one that deploys, so an ingress may never speak that.
   */
  const notGreeted = (reason: string) => {
    if (role === "deploy" && version === protocolVersion) {
      version = protocolVersion - 1
      return Effect.logDebug(`the edge refused to speak version ${protocolVersion}: ${reason}`)
    }
    version = protocolVersion
    return Effect.andThen(complain(`to serve the role ${role}`, reason), Effect.sleep(refusalPause))
  }

  /** Once for each cause: the same is tried again and again. */
  const complain = (what: string, reason: string) => {
    if (reason === complaint) return Effect.void
    complaint = reason
    return Effect.logWarning(`the edge refused ${what}: ${reason}`)
  }

  const settle = (revision: number, result: Effect.Effect<void, Unavailable>) => {
    const waiting = accepted.get(revision)
    accepted.delete(revision)
    return waiting === undefined ? Effect.void : Deferred.complete(waiting, result)
  }

  /** Nobody waits for an answer that will not come. */
  const forget = (out: Queue.Enqueue<EdgeObservation>) => {
    // The next edge may be a newer one.
    if (connection !== null) version = protocolVersion
    connection = null
    const waiting = [...accepted.values()]
    const readers = [...logs.values()]
    const asked = [...measurements.values()]
    accepted.clear()
    logs.clear()
    measurements.clear()
    return Effect.all([
      Queue.offer(out, { type: "away" as const }),
      ...waiting.map((deferred) => Deferred.complete(deferred, away)),
      ...asked.map((deferred) => Deferred.succeed(deferred, null)),
      ...readers.map((queue) => Queue.fail(queue, "lost" as const))
    ])
  }

  const tell = (message: (position: { epoch: number; revision: number }) => ToEdge) =>
    Effect.gen(function* () {
      if (connection === null) return yield* away
      revision += 1
      const mine = revision
      const deferred = yield* Deferred.make<void, Unavailable>()
      accepted.set(mine, deferred)
      yield* connection.send(message({ epoch, revision: mine }))
      yield* Effect.ensuring(
        Deferred.await(deferred),
        Effect.sync(() => accepted.delete(mine))
      )
    })

  const measure = Effect.gen(function* () {
    if (connection === null || !measures) return null
    const id = ++requests
    const waiting = yield* Deferred.make<NodeMetrics | null>()
    measurements.set(id, waiting)
    yield* connection.send({ type: "metrics", id })
    return yield* Deferred.await(waiting).pipe(
      Effect.timeoutOrElse({ duration: measurePatience, orElse: () => Effect.succeed(null) }),
      Effect.ensuring(Effect.sync(() => measurements.delete(id)))
    )
  })

  return {
    measure,
    attach: (newEpoch) =>
      Stream.callback<EdgeObservation>((out) => {
        epoch = newEpoch
        revision = 0
        return converse(out).pipe(Effect.repeat(Schedule.spaced("25 millis")), Effect.forkScoped)
      }),
    snapshot: (stages) => tell((at) => ({ type: "snapshot", ...at, stages })),
    ensure: (spec) => tell((at) => ({ type: "delta", ...at, put: [spec], remove: [] })),
    remove: (stage, generation) =>
      tell((at) => ({ type: "delta", ...at, put: [], remove: [{ stage, generation }] })),
    logs: (query) =>
      Stream.unwrap(
        Effect.gen(function* () {
          if (connection === null) return yield* away
          const id = ++requests
          const queue = yield* Queue.unbounded<LogLines, "lost">()
          logs.set(id, queue)
          yield* Effect.addFinalizer(() => {
            logs.delete(id)
            return connection?.send({ type: "logs_stop", id }) ?? Effect.void
          })
          yield* connection.send({ type: "logs", id, ...query })
          return Stream.fromQueue(queue).pipe(
            Stream.takeUntil((message) => message.done),
            Stream.flatMap((message) => Stream.fromIterable(message.lines)),
            Stream.catch(() => Stream.fromEffect(away))
          )
        })
      )
  }
}

/** Nothing changes soon for who is refused: the edge speaks another version, or a newer control is there. */
const refusalPause = "1 second"

/** A greeting makes the edge try again to listen where it should. */
const portRetry = "2 seconds"

/** A scraper waits ten seconds as a rule; an edge that has gone meanwhile says nothing any more. */
const measurePatience = "3 seconds"

const unavailable = (detail: string) => Effect.fail(new Unavailable({ detail }))

const away = unavailable("The edge is not connected; it is being started again.")
