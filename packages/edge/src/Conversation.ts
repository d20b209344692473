/**
 * What is said over the control socket with the control of one role. The newest control is the one
 * that is listened to; what it says is kept before it is acted on, and it hears of every change.
 */
import {
  type FromEdge,
  type Isolation,
  protocolVersion,
  type ReleaseObserved,
  type Role,
  type RouteObserved,
  type ToEdge
} from "@deploy-mcp/domain/node/NodeProtocol"
import type { Change } from "./DesiredState.ts"
import { type DesiredStates, otherRole } from "./DesiredStates.ts"
import type { Listener } from "./Listener.ts"
import { type Log, reasonOf } from "./Log.ts"
import { answerLogs, type LogConversation } from "./LogConversation.ts"
import type { Measure } from "./Measure.ts"
import type { RuntimeLog } from "./RuntimeLog.ts"
import type { Stages } from "./Stages.ts"

export interface Connection {
  readonly closed: boolean
  readonly send: (message: FromEdge) => void
  /** Resolves when what was sent has left or the connection is closed. */
  readonly drained: () => Promise<void>
  /** Lets what was sent arrive, then closes. */
  readonly end: () => void
}

export interface Conversation {
  /** Call one at a time. A string is what came instead of a message: why it is none. */
  readonly receive: (connection: Connection, message: ToEdge | string) => Promise<void>
  readonly left: (connection: Connection) => void
  readonly emit: (observation: ReleaseObserved | RouteObserved) => void
}

export interface ConversationOptions {
  readonly desired: DesiredStates
  readonly stages: Readonly<Record<Role, Stages>>
  readonly listener: Listener
  readonly runtimeLog: RuntimeLog
  readonly nodeKey: string
  readonly isolation: Isolation
  readonly measure: Measure
  readonly log: Log
}

export const makeConversation = (role: Role, options: ConversationOptions): Conversation => {
  const { listener, log, runtimeLog } = options
  const desired = options.desired.of[role]
  const stages = options.stages[role]
  const logs = new Map<number, LogConversation>()
  let current: Connection | null = null
  /** The highest epoch that greeted: an older control that comes back late is refused. */
  let greeted = desired.epoch

  const greet = async (connection: Connection, hello: Hello): Promise<void> => {
    const held = Math.max(greeted, desired.epoch)
    const reason = whyNoGreeting(hello, held)
    if (reason !== null) {
      log(`refused a control: ${reason}`)
      refuse(connection, { epoch: held, revision: desired.revision }, reason)
      connection.end()
      return
    }
    greeted = hello.epoch
    await listener.move(hello.appsPort)
    if (listener.problem !== null) log(listener.problem)
    if (connection.closed) return
    if (connection !== current) {
      stopLogs()
      current?.end()
      current = connection
      log(`control of epoch ${hello.epoch} is connected for ${role}`)
    }
    connection.send({
      type: "hello",
      protocol: hello.protocol,
      pid: process.pid,
      epoch: desired.epoch,
      revision: desired.revision,
      nodeKey: options.nodeKey,
      appsPort: listener.port,
      problem: listener.problem,
      isolation: options.isolation,
      measures: true,
      runs: ["worker", "schedule"]
    })
    for (const observation of stages.observations()) connection.send(observation)
  }

  const apply = async (connection: Connection, change: Change): Promise<void> => {
    const result = await options.desired.accept(role, change)
    if ("refused" in result) {
      log(`refused a ${change.type}: ${result.refused}`)
      return refuse(connection, change, result.refused)
    }
    connection.send({ type: "applied", epoch: change.epoch, revision: change.revision })
    for (const removal of result.remove) stages.remove(removal)
    for (const spec of result.put) stages.put(spec)
    // Last: their hostnames lead here already, so nobody finds them leading nowhere.
    for (const spec of result.taken) options.stages[otherRole(role)].remove(spec)
  }

  const startLogs = (connection: Connection, request: LogsRequest): void => {
    logs.get(request.id)?.stop()
    const conversation = answerLogs(request, runtimeLog, {
      send: (message) => {
        if (message.done) logs.delete(message.id)
        connection.send(message)
      },
      drained: connection.drained
    })
    logs.set(request.id, conversation)
  }
  /** Nobody else waits while the machine is asked. */
  const startMeasure = (connection: Connection, id: number): void => {
    void options
      .measure()
      .then((metrics) => connection.send({ type: "metrics", id, ...metrics }))
      .catch((error: unknown) => log(`could not measure: ${reasonOf(error)}`))
  }
  const stopLogs = (): void => {
    for (const conversation of [...logs.values()]) conversation.stop()
  }

  return {
    receive: async (connection, message) => {
      if (connection.closed) return
      if (typeof message === "string") return refuse(connection, desired, message)
      if (message.type === "hello") return await greet(connection, message)
      if (connection !== current) return refuse(connection, desired, "say hello first")
      if (message.type === "logs") return startLogs(connection, message)
      if (message.type === "metrics") return startMeasure(connection, message.id)
      if (message.type === "logs_stop") return logs.get(message.id)?.stop()
      await apply(connection, message)
    },
    left: (connection) => {
      if (connection !== current) return
      current = null
      stopLogs()
    },
    emit: (observation) => current?.send(observation)
  }
}

type Hello = Extract<ToEdge, { readonly type: "hello" }>
type LogsRequest = Extract<ToEdge, { readonly type: "logs" }>

const whyNoGreeting = ({ epoch, protocol }: Hello, held: number): string | null => {
  if (protocol !== protocolVersion && protocol !== protocolVersion - 1) {
    return `protocol ${protocol} is not spoken here, only ${protocolVersion - 1} and ${protocolVersion}`
  }
  return epoch < held ? `epoch ${epoch} is older than epoch ${held} held here` : null
}

export const refuse = (
  connection: Connection,
  { epoch, revision }: { readonly epoch: number; readonly revision: number },
  reason: string
): void => connection.send({ type: "refused", epoch, revision, reason })
