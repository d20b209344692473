/** One edge on a home of its own, a control that talks to it, and clients that are exact about bytes. */
import { once } from "node:events"
import { mkdtemp, realpath, rm } from "node:fs/promises"
import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import {
  type EndpointWorkload,
  FromEdge,
  protocolVersion,
  type Role,
  type StageSpec,
  type ToEdge
} from "@deploy-mcp/domain/node/NodeProtocol"
import { sealTo } from "@deploy-mcp/domain/node/SealedBox"
import { Schema } from "effect"
import { type Edge, type EdgeOptions, startEdge } from "../Edge.ts"
import type { Dial } from "../process/Processes.ts"
import { makePlainProcesses, type PlainProcesses } from "./PlainProcesses.ts"

export interface Harness {
  readonly home: string
  readonly processes: PlainProcesses
  edge: Edge
  control: Control
  readonly get: (path: string, options?: AskOptions) => Promise<Answer>
  /** Another edge on the home of one that has ended. */
  readonly startEdge: () => Promise<Edge>
  /** Ends the edge and starts another one on the same home. */
  readonly restart: () => Promise<void>
  readonly close: () => Promise<void>
}

export const startHarness = async (
  { dial, ...options }: Partial<EdgeOptions> & { readonly dial?: Dial } = {},
  hello = true
): Promise<Harness> => {
  const home = await realpath(await mkdtemp(join(tmpdir(), "edge-")))
  const processes = makePlainProcesses(dial)
  const start = () =>
    startEdge({
      home,
      appsPort: 0,
      appsDomain: "localhost",
      makeProcesses: async () => processes,
      log: () => {},
      graceMs: 2_000,
      ...options
    })
  const edge = await start()
  const control = await openControl(home, "deploy")
  if (hello) await control.hello(1)
  const harness: Harness = {
    home,
    processes,
    edge,
    control,
    get: (path, ask = {}) => askEdge(harness.edge.appsPort, path, ask),
    startEdge: start,
    restart: async () => {
      harness.control.close()
      await harness.edge.close()
      harness.edge = await start()
      harness.control = await openControl(home, "deploy")
    },
    close: async () => {
      harness.control.close()
      await harness.edge.close()
      await rm(home, { recursive: true, force: true })
    }
  }
  return harness
}

export interface Control {
  readonly received: ReadonlyArray<FromEdge>
  readonly socket: Socket
  readonly send: (message: Record<string, unknown> | ToEdge) => void
  /** The first message, from those already received on, that fits. Rejects after ten seconds. */
  readonly until: <A extends FromEdge>(
    what: string,
    fits: (message: FromEdge) => message is A,
    from?: number
  ) => Promise<A>
  readonly hello: (
    epoch: number,
    appsPort?: number
  ) => Promise<Extract<FromEdge, { type: "hello" }>>
  /** Sends the next revision of the whole state and awaits its acceptance. */
  readonly snapshot: (...stages: ReadonlyArray<StageSpec>) => Promise<void>
  /** Sends the next revision with one changed stage and awaits that the edge converged to it. */
  readonly put: (stage: StageSpec) => Promise<void>
  readonly state: (
    release: string,
    state: string
  ) => Promise<Extract<FromEdge, { type: "release" }>>
  /** Follows the log of a stage until it has this line. */
  readonly logLine: (stage: string, text: string) => Promise<void>
  readonly close: () => void
}

type Of<T extends FromEdge["type"]> = Extract<FromEdge, { readonly type: T }>
export const is =
  <T extends FromEdge["type"]>(type: T, also: (message: Of<T>) => boolean = () => true) =>
  (message: FromEdge): message is Of<T> =>
    message.type === type && also(message as Of<T>)

/** Without a role it speaks the version before roles. */
export const openControl = async (home: string, role?: Role): Promise<Control> => {
  const voice = role === undefined ? { protocol: 1 } : { protocol: protocolVersion, role }
  const socket = connect(join(home, "run/edge.sock"))
  await once(socket, "connect")
  const received: Array<FromEdge> = []
  const waiting = new Set<() => void>()
  let rest = ""
  let epoch = 1
  let revision = 0
  let logRequests = 1_000
  socket.setEncoding("utf8").on("data", (chunk) => {
    const lines = `${rest}${chunk}`.split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) received.push(decode(JSON.parse(line)))
    for (const check of waiting) check()
  })
  socket.on("error", () => {})
  const until = <A extends FromEdge>(
    what: string,
    fits: (message: FromEdge) => message is A,
    from = 0
  ): Promise<A> => {
    const { promise, reject, resolve } = Promise.withResolvers<A>()
    const deadline = setTimeout(
      () =>
        reject(new Error(`${what} did not come; came: ${JSON.stringify(received).slice(-2000)}`)),
      10_000
    )
    const check = () => {
      const found = received.slice(from).find(fits)
      if (found !== undefined) resolve(found)
    }
    waiting.add(check)
    check()
    return promise.finally(() => {
      waiting.delete(check)
      clearTimeout(deadline)
    })
  }
  const send: Control["send"] = (message) => void socket.write(`${JSON.stringify(message)}\n`)
  const next = async (message: Record<string, unknown>) => {
    revision += 1
    const mine = revision
    send({ epoch, revision: mine, ...message })
    await until(
      `applied ${mine}`,
      is("applied", (applied) => applied.revision === mine)
    )
  }
  return {
    received,
    socket,
    send,
    until,
    hello: async (asEpoch, appsPort = 0) => {
      const from = received.length
      epoch = asEpoch
      send({ type: "hello", epoch, appsPort, ...voice })
      const hello = await until("hello", is("hello"), from)
      revision = hello.epoch === epoch ? hello.revision : 0
      return hello
    },
    snapshot: (...stages) => next({ type: "snapshot", stages }),
    put: async (stage) => {
      await next({ type: "delta", put: [stage], remove: [] })
      await until(
        `route of generation ${stage.generation}`,
        is("route", (route) => route.stage === stage.stage && route.generation === stage.generation)
      )
    },
    state: (release, state) =>
      until(
        `${release} ${state}`,
        is("release", (seen) => seen.release === release && seen.state === state)
      ),
    logLine: async (stage, text) => {
      logRequests += 1
      const id = logRequests
      send({ type: "logs", id, stage, after: null, tail: 100, follow: true })
      await until(
        `line ${text}`,
        is("lines", (sent) => sent.id === id && sent.lines.some((line) => line.text === text))
      )
      send({ type: "logs_stop", id })
    },
    close: () => socket.destroy()
  }
}

const decode = Schema.decodeUnknownSync(FromEdge)

/** An id of the right form whose number tells it from others. */
export const idOf = <A extends string>(prefix: string, number: number): A =>
  `${prefix}_${String(number).padStart(20, "0")}` as A

export const processRelease = async (
  nodeKey: string,
  number: number,
  variables: Record<string, string> = {},
  startTimeout = 10_000
): Promise<StageSpec["releases"][number]> => ({
  release: idOf("rel", number),
  workload: {
    kind: "process",
    directory: import.meta.dirname,
    start: "node SampleApp.mjs",
    path: [dirname(process.execPath)],
    variables: await sealTo(nodeKey, JSON.stringify({ NAME: `v${number}`, ...variables })),
    port: null,
    healthPath: null,
    memory: 256,
    cpu: 1,
    startTimeout
  }
})

export const staticRelease = (number: number, root: string): StageSpec["releases"][number] => ({
  release: idOf("rel", number),
  workload: { kind: "static", root }
})

export const endpointRelease = (
  number: number,
  workload: EndpointWorkload
): StageSpec["releases"][number] => ({ release: idOf("rel", number), workload })

export const stageOf = (
  generation: number,
  releases: StageSpec["releases"],
  route: number | null,
  more: Partial<StageSpec> = {}
): StageSpec => ({
  stage: idOf("stg", 1),
  generation,
  name: "shop",
  tenant: 0,
  hostnames: ["shop"],
  route: route === null ? null : idOf("rel", route),
  releases,
  ...more
})

export interface AskOptions {
  readonly host?: string
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer
  readonly agent?: Agent
}
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
}

export const askEdge = (port: number, path: string, options: AskOptions = {}): Promise<Answer> => {
  const { promise, reject, resolve } = Promise.withResolvers<Answer>()
  const { agent = false, body, headers, host = "shop.localhost", method = "GET" } = options
  const outgoing = request(
    { host: "127.0.0.1", port, path, method, agent, headers: { host, ...headers } },
    (incoming) => {
      const chunks: Array<Buffer> = []
      incoming.on("data", (chunk) => chunks.push(chunk))
      incoming.on("error", reject)
      incoming.on("end", () => {
        const whole = Buffer.concat(chunks)
        const { headers: fields, statusCode: status = 0 } = incoming
        resolve({ status, headers: fields, body: whole, text: whole.toString() })
      })
    }
  )
  outgoing.on("error", reject)
  outgoing.end(body)
  return promise
}

/** A raw connection: what was received so far, and a wait for more of it. */
export const dial = async (port: number, localAddress = "127.0.0.1") => {
  const socket = connect({ port, host: "127.0.0.1", localAddress })
  await once(socket, "connect")
  let text = ""
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const check of waiting) check()
  }
  socket.on("error", () => {})
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1")
    wake()
  })
  let ended = false
  socket.on("close", () => {
    ended = true
    wake()
  })
  const until = (what: string, reached: () => boolean): Promise<string> => {
    const { promise, reject, resolve } = Promise.withResolvers<string>()
    const deadline = setTimeout(
      () => reject(new Error(`${what} did not come; came: ${text}`)),
      10_000
    )
    const check = () => reached() && resolve(text)
    waiting.add(check)
    check()
    return promise.finally(() => {
      waiting.delete(check)
      clearTimeout(deadline)
    })
  }
  return {
    socket,
    write: (data: string) => void socket.write(data),
    until: (part: string) => until(part, () => text.includes(part)),
    times: (part: string, count: number) =>
      until(`${count} times ${part}`, () => text.split(part).length > count),
    closed: () => until("the end", () => ended),
    get text() {
      return text
    }
  }
}

/** Resolves when `holds` does; rejects after ten seconds. */
export const eventually = async (
  what: string,
  holds: () => boolean | Promise<boolean>
): Promise<void> => {
  const deadline = Date.now() + 10_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const keepAlive = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 })
