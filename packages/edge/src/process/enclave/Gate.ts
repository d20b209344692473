/**
 * The edge's hands in a service's own network, which an edge without rights can't enter itself: a
 * program of one page that runs inside that namespace, but outside of the service's mounts and
 * processes, so that the service sees nothing of it. It makes sockets there and passes them to the
 * edge; what is sent over them never comes by it. A socket stays in the network that it was made in, so
 * those that wait for calls are passed once, and only a new connection to the service needs it again.
 * It takes 9 to 13 MiB, and some 50 ms to start: it is there when it is needed, and those that rest leave.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { Socket as UdpSocket } from "node:dgram"
import { Server, Socket } from "node:net"
import { minimalEnvironment } from "../Program.ts"

export interface Gate {
  /** Sockets that wait in that network. */
  readonly listen: (places: ReadonlyArray<Place>) => Promise<Waiting>
  /** A connection that was made in that network; an error when nobody listens. */
  readonly dial: (host: string, port: number) => Promise<Socket>
  /** To be called when the network is gone. */
  readonly close: () => void
}

export interface Place {
  readonly kind: "tcp" | "udp"
  readonly host: string
  readonly port: number
}

export interface Waiting {
  readonly tcp: ReadonlyArray<Server>
  readonly udp: ReadonlyArray<UdpSocket>
}

export interface Gates {
  /** `holder`: a process of ours in the namespace and in the user namespace that owns it. */
  readonly at: (holder: number) => Gate
}

/** How many stay however long they rest: a service or two, as on most machines, never wait for one. */
const staysAlways = 8
const restMs = 30_000

export const makeGates = (nsenter: string, stays = staysAlways, rest = restMs): Gates => {
  const staying = new Set<Hands>()
  return {
    at: (holder) => {
      let hands: Hands | null = null
      const leave = () => {
        if (hands === null) return
        staying.delete(hands)
        hands.leave()
        hands = null
      }
      const resting = setTimeout(() => {
        if (staying.size > stays && hands?.idle()) leave()
        else if (hands) resting.refresh()
      }, rest).unref()
      const use = (): Hands => {
        if (hands?.gone()) leave()
        hands ??= reachInto(nsenter, holder)
        staying.add(hands)
        resting.refresh()
        return hands
      }
      return {
        listen: async (places) => {
          const passed = await use().ask({ places })
          return {
            tcp: passed.filter((one) => one instanceof Server),
            udp: passed.filter((one) => one instanceof UdpSocket)
          }
        },
        dial: async (host, port) => {
          const [socket] = await use().ask({ host, port })
          if (!(socket instanceof Socket)) throw new Error("no connection came about")
          return socket.setNoDelay(true)
        },
        close: () => {
          clearTimeout(resting)
          leave()
        }
      }
    }
  }
}

interface Hands {
  readonly ask: (question: object) => Promise<ReadonlyArray<unknown>>
  readonly idle: () => boolean
  readonly gone: () => boolean
  readonly leave: () => void
}

interface Pending {
  readonly passed: Array<unknown>
  readonly resolve: (passed: ReadonlyArray<unknown>) => void
  readonly reject: (error: Error) => void
}

const reachInto = (nsenter: string, holder: number): Hands => {
  const child: ChildProcess = spawn(
    nsenter,
    [
      ...["--target", String(holder), "--user", "--net", "--preserve-credentials", "--"],
      ...[process.execPath, "-e", program]
    ],
    { stdio: ["ignore", "ignore", "pipe", "ipc"], env: minimalEnvironment, cwd: "/" }
  )
  const pending = new Map<number, Pending>()
  let last = 0
  let gone = false
  let words = ""
  const end = () => {
    gone = true
    for (const one of pending.values()) one.reject(new Error(words.trim() || "the gate has ended"))
    pending.clear()
  }
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    words = (words + chunk).slice(-500)
  })
  child.once("error", (error) => {
    words = error.message
    end()
  })
  child.once("close", end)
  child.on("message", (told: unknown, handle: unknown) => {
    if (!isAnswer(told)) return
    const one = pending.get(told.id)
    if (handle !== undefined) one?.passed.push(handle)
    if (!told.done) return
    pending.delete(told.id)
    if (told.error === undefined) one?.resolve(one.passed)
    else one?.reject(new Error(told.error))
  })
  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        const id = ++last
        pending.set(id, { passed: [], resolve, reject })
        child.send({ id, ...question }, (error) => {
          if (error !== null && pending.delete(id)) reject(error)
        })
      }),
    idle: () => pending.size === 0,
    gone: () => gone,
    leave: () => {
      gone = true
      if (child.connected) child.disconnect()
    }
  }
}

interface Answer {
  readonly id: number
  readonly done: boolean
  readonly error?: string
}

const isAnswer = (value: unknown): value is Answer =>
  typeof value === "object" && value !== null && "id" in value && "done" in value

/** Milliseconds until a service with a full queue is given up. */
const patienceMs = 5_000

/** Ends with the edge, whose end closes the channel. */
const program = `
const net = require("node:net")
const tell = (answer, handle) => new Promise((told) => process.send(answer, handle, {}, told))
const comesAbout = (socket, event) => new Promise((done, failed) => {
  socket.once(event, done).once("error", failed)
  socket.once("timeout", () => failed(new Error("no connection came about")))
})
const listen = async (id, places) => {
  for (const { kind, host, port } of places) {
    const socket = kind === "udp" ? require("node:dgram").createSocket("udp4") : net.createServer()
    const ready = comesAbout(socket, "listening")
    if (kind === "udp") socket.bind(port, host)
    else socket.listen(port, host)
    await ready
    await tell({ id, done: false }, socket)
    socket.close()
  }
  await tell({ id, done: true })
}
const dial = async (id, host, port) => {
  const socket = net.connect({ host, port, timeout: ${patienceMs} }).pause()
  try {
    await comesAbout(socket, "connect")
    await tell({ id, done: true }, socket)
  } catch (error) {
    socket.destroy()
    throw error
  }
}
process.on("message", ({ id, places, host, port }) => {
  const asked = places ? listen(id, places) : dial(id, host, port)
  asked.catch((error) => tell({ id, done: true, error: error.message }))
})
process.on("disconnect", () => process.exit())
`
