/**
 * One question to one name server, over UDP or TCP, without recursion: what the server itself knows.
 * A resolver between would hide the delegation, which stands in the authority section.
 */
import { createSocket } from "node:dgram"
import { connect, isIPv6 } from "node:net"
import * as Packet from "dns-packet"
import { Data, Effect, Random } from "effect"

export class AskError extends Data.TaggedError("AskError")<{ readonly detail: string }> {}

export interface Question {
  readonly server: string
  readonly port: number
  readonly name: string
  readonly type: Packet.RecordType
  readonly transport: "udp" | "tcp"
}

export interface Told {
  /** `NOERROR`, `NXDOMAIN`, `REFUSED`, … */
  readonly code: string
  readonly authoritative: boolean
  /** Ask again over TCP. */
  readonly truncated: boolean
  readonly answers: ReadonlyArray<Packet.Answer>
  readonly authorities: ReadonlyArray<Packet.Answer>
  readonly additionals: ReadonlyArray<Packet.Answer>
}

const patience = "3 seconds"
const codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]

export const ask = (question: Question): Effect.Effect<Told, AskError> =>
  Effect.gen(function* () {
    const id = yield* Random.nextIntBetween(0, 65_535)
    const message = yield* exchange(question, Packet.encode({ ...query(question), id })).pipe(
      Effect.timeout(patience),
      Effect.catchTag("TimeoutError", () => failed(new Error("no answer in time")))
    )
    const packet = yield* Effect.try({
      try: () => Packet.decode(message),
      catch: () => new AskError({ detail: `${question.server} answered what nobody can read` })
    })
    return packet.id === id ? told(packet) : yield* failed(new Error("an answer to something else"))
  })

/** Bytes to a server and the bytes that come back, whatever they are. */
export const exchange = (
  { server, port, transport }: Pick<Question, "server" | "port" | "transport">,
  message: Uint8Array
): Effect.Effect<Buffer, AskError> =>
  transport === "udp" ? overUdp(server, port, message) : overTcp(server, port, message)

/** The values of an answer as `textOf` of the model writes them; of an SOA the serial alone. */
export const textOf = (answer: Packet.Answer): string => {
  switch (answer.type) {
    case "TXT":
      return [answer.data].flat().join("")
    case "MX":
      return `${answer.data.preference} ${answer.data.exchange}`
    case "CAA":
      return `${answer.data.flags} ${answer.data.tag} ${JSON.stringify(answer.data.value)}`
    case "SOA":
      return String(answer.data.serial)
    default:
      return "data" in answer ? String(answer.data) : ""
  }
}

const query = ({ name, type, transport }: Question): Packet.Packet => ({
  type: "query",
  flags: 0,
  questions: [{ name, type, class: "IN" }],
  additionals:
    transport === "tcp"
      ? []
      : [
          {
            type: "OPT",
            name: ".",
            udpPayloadSize: 1232,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: []
          }
        ]
})

const told = (packet: Packet.DecodedPacket): Told => ({
  code: codes[(packet.flags ?? 0) & 15] ?? "OTHER",
  authoritative: packet.flag_aa,
  truncated: packet.flag_tc,
  answers: packet.answers ?? [],
  authorities: packet.authorities ?? [],
  additionals: packet.additionals ?? []
})

const failed = (cause: Error) => Effect.fail(new AskError({ detail: cause.message }))

const overUdp = (server: string, port: number, message: Uint8Array) =>
  Effect.acquireUseRelease(
    Effect.sync(() => createSocket(isIPv6(server) ? "udp6" : "udp4")),
    (socket) =>
      Effect.callback<Buffer, AskError>((resume) => {
        socket.once("error", (cause) => resume(failed(cause)))
        socket.once("message", (reply) => resume(Effect.succeed(reply)))
        // Connected, so that only this server's messages arrive and its absence is an error.
        socket.connect(port, server, () => socket.send(message))
      }),
    (socket) => Effect.sync(() => socket.close())
  )

const overTcp = (server: string, port: number, message: Uint8Array) =>
  Effect.acquireUseRelease(
    Effect.sync(() => connect(port, server)),
    (socket) =>
      Effect.callback<Buffer, AskError>((resume) => {
        let received = Buffer.alloc(0)
        socket.on("data", (chunk: Buffer) => {
          received = Buffer.concat([received, chunk])
          const whole = received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)
          if (whole) resume(Effect.succeed(received.subarray(2)))
        })
        socket.once("error", (cause) => resume(failed(cause)))
        socket.once("close", () => resume(failed(new Error("closed"))))
        const length = Buffer.alloc(2)
        length.writeUInt16BE(message.length)
        socket.write(Buffer.concat([length, message]))
      }),
    (socket) => Effect.sync(() => socket.destroy())
  )
