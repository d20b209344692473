/** One connection to an edge over its unix socket: JSON, one message a line. Not exported. */
import { connect, type Socket } from "node:net"
import { FromEdge, type ToEdge } from "@deploy-mcp/domain/node/NodeProtocol"
import { Cause, Effect, Queue, Schema, type Scope } from "effect"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(FromEdge))

export interface EdgeConnection {
  readonly send: (message: ToEdge) => Effect.Effect<void>
  /** Runs until the connection is lost. */
  readonly receive: <R>(
    handle: (message: FromEdge) => Effect.Effect<unknown, never, R>
  ) => Effect.Effect<void, never, R>
}

/** Fails when nobody listens. Messages that this version does not know are passed over. */
export const open = (path: string): Effect.Effect<EdgeConnection, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(dial(path), (socket) =>
      Effect.sync(() => socket.destroy())
    )
    const lines = yield* Queue.unbounded<string, "closed">()
    let rest = ""
    socket.setEncoding("utf8")
    socket.on("data", (chunk: string) => {
      const parts = (rest + chunk).split("\n")
      rest = parts.pop() ?? ""
      for (const line of parts) Queue.offerUnsafe(lines, line)
    })
    socket.on("error", () => socket.destroy())
    socket.on("close", () => Queue.failCauseUnsafe(lines, Cause.fail("closed")))
    return {
      send: (message) =>
        Effect.sync(() => {
          if (socket.writable) socket.write(`${JSON.stringify(message)}\n`)
        }),
      receive: (handle) =>
        Queue.take(lines).pipe(
          Effect.flatMap((line) =>
            decode(line).pipe(
              Effect.matchEffect({
                onFailure: () => Effect.logDebug("unknown message from the edge"),
                onSuccess: handle
              })
            )
          ),
          Effect.forever,
          Effect.catch(() => Effect.void)
        )
    }
  })

const dial = (path: string): Effect.Effect<Socket, Error> =>
  Effect.callback<Socket, Error>((resume) => {
    const socket = connect(path)
    socket.once("connect", () => resume(Effect.succeed(socket)))
    socket.once("error", (cause) => resume(Effect.fail(cause)))
    return Effect.sync(() => socket.destroy())
  })
