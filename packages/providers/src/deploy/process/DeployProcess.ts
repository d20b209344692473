/** Runs releases on this machine through its edge, over the edge's unix socket. */
import { Deploy, DeployError, type Observation } from "@deploy-mcp/domain/Deploy"
import { Unavailable } from "@deploy-mcp/domain/Fault"
import type { FromEdge, LogLines, ToEdge } from "@deploy-mcp/domain/node/NodeProtocol"
import { protocolVersion } from "@deploy-mcp/domain/node/NodeProtocol"
import { make } from "@deploy-mcp/domain/Provider"
import { Config, Deferred, Effect, Layer, Queue, Schedule, Stream } from "effect"
import * as EdgeConnection from "./EdgeConnection.ts"

const config = Config.all({
  /** The edge's socket. Relative to the home, because a socket's path may have 107 bytes at most. */
  socket: Config.String("DEPLOY_MCP_EDGE_SOCKET").pipe(Config.withDefault("run/edge.sock")),
  /** Where the edge should listen for visitors, on 127.0.0.1. */
  appsPort: Config.Port("DEPLOY_MCP_APPS_PORT").pipe(Config.withDefault(8080))
})

/** A greeting makes the edge try again to listen where it should. */
const portRetry = "2 seconds"

const away = new DeployError({
  reason: new Unavailable({ detail: "The edge is not connected; it is being started again." })
})

const layer = (settings: Config.Success<typeof config>) =>
  Layer.effect(
    Deploy,
    Effect.sync(() => {
      let connection: EdgeConnection.EdgeConnection | null = null
      let epoch = 0
      let revision = 0
      let requests = 0
      const accepted = new Map<number, Deferred.Deferred<void, DeployError>>()
      const logs = new Map<number, Queue.Queue<LogLines, "lost">>()

      /** One connection from hello to its end. */
      const converse = (out: Queue.Enqueue<Observation>) =>
        Effect.gen(function* () {
          const opened = yield* EdgeConnection.open(settings.socket)
          connection = opened
          const greet = opened.send({
            type: "hello",
            protocol: protocolVersion,
            epoch,
            appsPort: settings.appsPort
          })
          yield* greet
          yield* opened.receive((message) =>
            Effect.andThen(
              handle(message, out),
              message.type === "hello" && message.problem !== null
                ? Effect.forkScoped(Effect.delay(greet, portRetry))
                : Effect.void
            )
          )
        }).pipe(
          Effect.scoped,
          Effect.ensuring(Effect.suspend(() => forget(out))),
          Effect.catch(() => Effect.void)
        )

      const handle = (
        message: FromEdge,
        out: Queue.Enqueue<Observation>
      ): Effect.Effect<unknown> => {
        switch (message.type) {
          case "hello":
          case "release":
          case "route":
            return Queue.offer(out, message)
          case "applied":
            return settle(message.revision, Effect.void)
          case "refused":
            return Effect.logWarning(
              `the edge refused revision ${message.revision}: ${message.reason}`
            ).pipe(Effect.andThen(settle(message.revision, Effect.fail(refused(message.reason)))))
          case "lines": {
            const queue = logs.get(message.id)
            return queue === undefined ? Effect.void : Queue.offer(queue, message)
          }
        }
      }

      const settle = (revision: number, result: Effect.Effect<void, DeployError>) => {
        const waiting = accepted.get(revision)
        accepted.delete(revision)
        return waiting === undefined ? Effect.void : Deferred.complete(waiting, result)
      }

      /** Nobody waits for an answer that will not come. */
      const forget = (out: Queue.Enqueue<Observation>) => {
        connection = null
        const waiting = [...accepted.values()]
        const readers = [...logs.values()]
        accepted.clear()
        logs.clear()
        return Effect.all([
          Queue.offer(out, { type: "away" as const }),
          ...waiting.map((deferred) => Deferred.fail(deferred, away)),
          ...readers.map((queue) => Queue.fail(queue, "lost" as const))
        ])
      }

      const tell = (message: (epoch: number, revision: number) => ToEdge) =>
        Effect.gen(function* () {
          if (connection === null) return yield* away
          revision += 1
          const deferred = yield* Deferred.make<void, DeployError>()
          accepted.set(revision, deferred)
          yield* connection.send(message(epoch, revision))
          yield* Deferred.await(deferred)
        })

      return {
        routes: true,
        attach: (newEpoch) =>
          Stream.callback<Observation>((out) => {
            epoch = newEpoch
            revision = 0
            return converse(out).pipe(
              Effect.repeat(Schedule.spaced("25 millis")),
              Effect.forkScoped
            )
          }),
        snapshot: (stages) =>
          tell((epoch, revision) => ({ type: "snapshot", epoch, revision, stages })),
        ensure: (spec) =>
          tell((epoch, revision) => ({ type: "delta", epoch, revision, put: [spec], remove: [] })),
        remove: (stage, generation) =>
          tell((epoch, revision) => ({
            type: "delta",
            epoch,
            revision,
            put: [],
            remove: [{ stage, generation }]
          })),
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
                Stream.mapError(() => away)
              )
            })
          )
      }
    })
  )

const refused = (reason: string) => new DeployError({ reason: new Unavailable({ detail: reason }) })

export const DeployProcess = make({
  id: "process",
  service: Deploy,
  summary: "Runs releases on this machine, sandboxed, through its edge.",
  config,
  make: layer
})
