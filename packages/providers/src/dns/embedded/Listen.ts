/** The server's two doors, UDP and TCP on one port; both are closed with the scope. Not exported. */
import { createSocket } from "node:dgram"
import { createServer, isIPv6, type Server, type Socket } from "node:net"
import { Effect } from "effect"

export interface Door {
  readonly address: string
  readonly port: number
}

type Reply = (message: Buffer, transport: "udp" | "tcp") => Buffer | null

const idleMillis = 10_000
const mostConnections = 200

export const listen = (door: Door, reply: Reply) =>
  Effect.andThen(listenUdp(door, reply), listenTcp(door, reply))

const listenUdp = (door: Door, reply: Reply) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createSocket>>((resume) => {
      const socket = createSocket(isIPv6(door.address) ? "udp6" : "udp4")
      const refuse = () => resume(taken(door, "UDP"))
      socket.once("error", refuse)
      socket.bind({ address: door.address, port: door.port, exclusive: true }, () => {
        socket.off("error", refuse)
        // Replies to somebody who is gone come back as errors; they concern nobody else.
        socket.on("error", () => {})
        resume(Effect.succeed(socket))
      })
      socket.on("message", (message, from) => {
        const answer = reply(message, "udp")
        if (answer !== null) socket.send(answer, from.port, from.address, () => {})
      })
    }),
    (socket) => Effect.callback<void>((done) => void socket.close(() => done(Effect.void)))
  )

const listenTcp = (door: Door, reply: Reply) => {
  const open = new Set<Socket>()
  return Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((socket) => {
        open.add(socket)
        socket.once("close", () => open.delete(socket))
        converse(socket, reply)
      })
      server.maxConnections = mostConnections
      server.once("error", () => resume(taken(door, "TCP")))
      server.listen(door.port, door.address, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((done) => {
        server.close(() => done(Effect.void))
        for (const socket of open) socket.destroy()
      })
  )
}

/** Messages one after another, each behind its length in two bytes. */
const converse = (socket: Socket, reply: Reply) => {
  let rest = Buffer.alloc(0)
  socket.setTimeout(idleMillis, () => socket.destroy())
  socket.on("error", () => socket.destroy())
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0)
      const answer = reply(rest.subarray(2, end), "tcp")
      rest = rest.subarray(end)
      if (answer === null) return socket.destroy()
      const length = Buffer.alloc(2)
      length.writeUInt16BE(answer.length)
      socket.write(Buffer.concat([length, answer]))
    }
  })
}

const taken = ({ address, port }: Door, transport: string) =>
  Effect.die(
    new Error(
      `DNS cannot listen on ${address}:${port} over ${transport}; set its port to a free one.`
    )
  )
