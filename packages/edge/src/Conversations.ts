/** One conversation for each role; the hello of a connection says which one it joins. */
import type {
  ReleaseObserved,
  Role,
  RouteObserved,
  ToEdge
} from "@deploy-mcp/domain/node/NodeProtocol"
import { type Connection, type Conversation, refuse } from "./Conversation.ts"

export interface Conversations {
  /** Call one at a time. A string is what came instead of a message: why it is none. */
  readonly receive: (connection: Connection, message: ToEdge | string) => Promise<void>
  readonly left: (connection: Connection) => void
  readonly emit: (role: Role, observation: ReleaseObserved | RouteObserved) => void
}

export const makeConversations = (of: Readonly<Record<Role, Conversation>>): Conversations => {
  const joined = new WeakMap<Connection, Role>()
  return {
    receive: async (connection, message) => {
      const known = joined.get(connection)
      if (typeof message === "string" || message.type !== "hello") {
        return await of[known ?? "deploy"].receive(connection, message)
      }
      // Version 1 knows no roles: what it says is all that there is to say.
      const { role = "deploy" } = message
      if (known !== undefined && known !== role) {
        return refuse(connection, nowhere, `this connection is for ${known}; open another one`)
      }
      joined.set(connection, role)
      await of[role].receive(connection, message)
    },
    left: (connection) => {
      of[joined.get(connection) ?? "deploy"].left(connection)
    },
    emit: (role, observation) => of[role].emit(observation)
  }
}

const nowhere = { epoch: 0, revision: 0 }
