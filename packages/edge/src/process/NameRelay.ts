/**
 * Hands services' questions for names to the resolver of this host, wherever that is: on its loopback
 * (systemd's 127.0.0.53), in the operator's network or public. Bytes are passed on as they are. It is
 * bound to an address of ours that only slots reach, since the rules let no others come there.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram"
import { once } from "node:events"
import { readFile } from "node:fs/promises"
import { connect, createServer, isIPv4, isIPv6, type Server, type Socket } from "node:net"

export interface NameRelay {
  readonly udpPort: number
  readonly tcpPort: number
  readonly close: () => void
}

export interface NameRelayOptions extends NameSource {
  /** Where it listens. */
  readonly address: string
}

export interface NameSource {
  /** `/etc/resolv.conf`, read for each question: it follows the host through its networks. */
  readonly resolverFile: string
  /** 53, except in tests. */
  readonly port?: number
}

export const openNameRelay = async (options: NameRelayOptions): Promise<NameRelay> => {
  const udp = createSocket("udp4")
  const tcp = createServer({ allowHalfOpen: false })
  serveNames(udp, tcp, options, makeTurns().enter)
  udp.bind(0, options.address)
  tcp.listen(0, options.address)
  await Promise.all([once(udp, "listening"), once(tcp, "listening")])
  udp.unref()
  tcp.unref()
  const tcpAddress = tcp.address()
  return {
    udpPort: udp.address().port,
    tcpPort: typeof tcpAddress === "object" && tcpAddress ? tcpAddress.port : 0,
    close: () => {
      udp.close()
      tcp.close()
    }
  }
}

/** Answers what comes to two sockets; `enter` gives an asker a turn, or none. */
export const serveNames = (
  udp: UdpSocket,
  tcp: Server,
  source: NameSource,
  enter: Turns["enter"]
): void => {
  udp.on("message", (question, from) => {
    const leave = enter(from.address)
    if (!leave) return
    void askByUdp(question, source)
      .then((answer) => udp.send(answer, from.port, from.address))
      .catch(() => {})
      .finally(leave)
  })
  tcp.on("connection", (client) => {
    const leave = enter(client.remoteAddress ?? "")
    if (leave) void passOn(client, source).finally(leave)
    else client.destroy()
  })
  // A service that has gone is no concern of the relay.
  udp.on("error", () => {})
  tcp.on("error", () => {})
}

const patienceMs = 2_000
/** A stream may carry several questions. */
const streamMs = 10_000
const atOnce = 512
const atOnceOfOne = 64

export interface Turns {
  /** Undefined when it is too many; else what to call in the end. */
  readonly enter: (who: string) => (() => void) | undefined
}

/** How many are asked at the same time: one service must not take the relay from the others. */
export const makeTurns = (): Turns => {
  const of = new Map<string, number>()
  let all = 0
  return {
    enter: (who) => {
      const mine = of.get(who) ?? 0
      if (all >= atOnce || mine >= atOnceOfOne) return undefined
      all++
      of.set(who, mine + 1)
      return () => {
        all--
        const left = (of.get(who) ?? 1) - 1
        if (left === 0) of.delete(who)
        else of.set(who, left)
      }
    }
  }
}

/** Asks the resolvers one after the other, as the host itself would. */
const askByUdp = async (question: Buffer, source: NameSource): Promise<Buffer> => {
  for (const resolver of await resolversOf(source.resolverFile)) {
    const socket = createSocket(isIPv6(resolver) ? "udp6" : "udp4")
    const answer = await exchange(socket, question, resolver, source.port ?? 53)
    if (answer) return answer
  }
  return failure(question)
}

/** A socket for each question: its port can't be guessed, and connected it hears this resolver alone. */
const exchange = (
  socket: UdpSocket,
  question: Buffer,
  resolver: string,
  port: number
): Promise<Buffer | null> => {
  const { promise, resolve } = Promise.withResolvers<Buffer | null>()
  const timer = setTimeout(() => resolve(null), patienceMs)
  socket.on("error", () => resolve(null))
  socket.once("connect", () => socket.send(question))
  socket.on("message", (answer) => {
    if (answer.subarray(0, 2).equals(question.subarray(0, 2))) resolve(answer)
  })
  socket.connect(port, resolver)
  return promise.finally(() => {
    clearTimeout(timer)
    socket.close()
  })
}

const passOn = async (client: Socket, source: NameSource): Promise<void> => {
  const ended = Promise.withResolvers<void>()
  client.on("error", () => client.destroy())
  client.once("close", () => ended.resolve())
  const [resolver] = await resolversOf(source.resolverFile)
  if (resolver === undefined || client.destroyed) client.destroy()
  else {
    const server = connect(source.port ?? 53, resolver)
    const timer = setTimeout(() => client.destroy(), streamMs)
    server.on("error", () => client.destroy())
    server.once("close", () => client.destroy())
    client.once("close", () => {
      clearTimeout(timer)
      server.destroy()
    })
    client.pipe(server).pipe(client)
  }
  await ended.promise
}

const resolversOf = async (file: string): Promise<ReadonlyArray<string>> =>
  (await readFile(file, "utf8").catch(() => ""))
    .split("\n")
    .flatMap((line) => /^\s*nameserver\s+(\S+)/u.exec(line)?.[1] ?? [])
    .filter((address) => isIPv4(address) || isIPv6(address))
    .slice(0, 3)

/** The question with the answer "server failure" (RFC 1035, 4.1.1): better than silence. */
const failure = (question: Buffer): Buffer => {
  const answer = Buffer.from(question)
  if (answer.length < 12) return answer
  answer[2] = (answer[2] ?? 0) | 0x80
  answer[3] = 0x82
  return answer
}
