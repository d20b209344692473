/** The door for control: a unix socket that carries one JSON message a line. */
import { createServer, type Server, type Socket } from "node:net"
import type { ToEdge } from "@deploy-mcp/domain/node/NodeProtocol"
import type { Connection } from "./Conversation.ts"
import type { Conversations } from "./Conversations.ts"
import { reasonOf } from "./Log.ts"
import { decodeMessage, makeLineSplitter } from "./Messages.ts"

export interface ControlSocket {
  /** To be bound by whoever claims the home. */
  readonly server: Server
  /** What is said until now waits for this. */
  readonly open: (conversations: Conversations) => void
  /** Tells the control that is connected for the role, if there is one. */
  readonly emit: Conversations["emit"]
  readonly close: () => void
}

export const makeControlSocket = (): ControlSocket => {
  const opened = Promise.withResolvers<Conversations>()
  const connections = new Set<Connection>()
  let conversations: Conversations | null = null
  /** One at a time, also across connections: what an older control sent last is done first. */
  let queue: Promise<unknown> = opened.promise

  const receive = async (connection: Connection, message: ToEdge | string): Promise<void> => {
    try {
      await (await opened.promise).receive(connection, message)
    } catch (error) {
      const reason = `it could not be handled: ${reasonOf(error)}`
      const { epoch, revision } = positionOf(message)
      connection.send({ type: "refused", epoch, revision, reason })
    }
  }

  const server = createServer((socket) => {
    const connection = makeConnection(socket)
    connections.add(connection)
    const split = makeLineSplitter((line) => {
      const message = decodeMessage(line)
      queue = queue.then(() => receive(connection, message))
    })
    socket.on("data", (chunk: Buffer) => {
      try {
        split(chunk)
      } catch (error) {
        queue = queue.then(() => receive(connection, reasonOf(error)))
        queue = queue.then(connection.end)
        socket.pause()
      }
    })
    socket.once("close", () => {
      connections.delete(connection)
      conversations?.left(connection)
    })
  })

  return {
    server,
    open: (made) => {
      conversations = made
      opened.resolve(made)
    },
    emit: (role, observation) => conversations?.emit(role, observation),
    close: () => {
      conversations = null
      server.close()
      for (const connection of connections) connection.end()
    }
  }
}

const makeConnection = (socket: Socket): Connection => {
  let ended = false
  socket.on("error", () => socket.destroy())
  return {
    get closed() {
      return ended || socket.destroyed
    },
    send: (message) => {
      if (ended || socket.destroyed) return
      // A control that hangs reads nothing; it gets the whole state when it is back.
      if (socket.writableLength > maxUnreadBytes) socket.destroy()
      else socket.write(`${JSON.stringify(message)}\n`)
    },
    drained: async () => {
      if (!socket.writableNeedDrain || socket.destroyed) return
      const { promise, resolve } = Promise.withResolvers<void>()
      socket.once("drain", resolve).once("close", resolve)
      await promise
      socket.off("drain", resolve).off("close", resolve)
    },
    end: () => {
      ended = true
      socket.end()
      // A peer that never reads what was said last gets two seconds.
      setTimeout(() => socket.destroy(), 2_000).unref()
    }
  }
}

const maxUnreadBytes = 64 * 1024 * 1024

const positionOf = (message: ToEdge | string): { epoch: number; revision: number } =>
  typeof message !== "string" && "revision" in message ? message : { epoch: 0, revision: 0 }
