/** What a service calls, in the edge's hands: judged by the address that was meant, then joined to it. */
import { connect, type Server, type Socket } from "node:net"

/** What a connection says about whom it was meant for. */
export interface Judge {
  /** Besides those that can always be called. */
  readonly ports: ReadonlyArray<number>
  readonly mayCall: (address: string, port: number) => boolean
  /** Null: nobody is really called. */
  readonly reach: (address: string, port: number) => Socket | null
}

/** Open calls of one service: they are descriptors of an edge that is everybody's. */
const mostCalls = 256

export const makeCalls = (judge: Judge) => {
  const open = new Set<Socket>()
  const answer = (caller: Socket): void => {
    caller.on("error", () => caller.destroy())
    const address = (caller.localAddress ?? "").replace(/^::ffff:(?=[\d.]+$)/u, "")
    const port = caller.localPort ?? 0
    if (open.size >= mostCalls || !judge.mayCall(address, port)) {
      caller.resetAndDestroy()
      return
    }
    const called = judge.reach(address, port)
    if (called === null) caller.resetAndDestroy()
    else {
      open.add(caller)
      caller.once("close", () => open.delete(caller))
      join(caller, called)
    }
  }
  return {
    /** Answers whoever comes there. */
    serve: (servers: ReadonlyArray<Server>): void => {
      for (const server of servers) server.on("connection", answer).on("error", () => {})
    },
    /** Ends those that are open. */
    close: (): void => {
      for (const caller of open) caller.destroy()
    }
  }
}

export const reach = (address: string, port: number): Socket =>
  connect({ host: address, port, timeout: connectMs, noDelay: true, allowHalfOpen: true })

const connectMs = 10_000

/** A caller whose call failed hears of it by a reset: it believes to be connected already. */
const join = (caller: Socket, called: Socket): void => {
  let through = false
  caller.setNoDelay(true)
  caller.allowHalfOpen = true
  called.once("connect", () => {
    through = true
    called.setTimeout(0)
  })
  called.once("timeout", () => called.destroy())
  called.on("error", () => called.destroy())
  called.once("close", (failed) =>
    through && !failed ? caller.destroySoon() : caller.resetAndDestroy()
  )
  caller.once("close", (failed) => (failed ? called.destroy() : called.destroySoon()))
  caller.pipe(called).pipe(caller)
}
