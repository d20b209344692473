/** Connections over HTTP to where a process is reached, be it in a network that has to be dialled into. */
import { Agent, type AgentOptions, type ClientRequestArgs, type RequestOptions } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Dial, Endpoint } from "./Processes.ts"

/** Keeps connections as the options say; all of its requests have to lead to the endpoint. */
export const agentFor = ({ dial }: Endpoint, options: AgentOptions): Agent =>
  dial ? new DialAgent(dial, options) : new OneWayAgent(options)

/** For one request, over a connection of its own. */
export const wayTo = (endpoint: Endpoint): Pick<RequestOptions, "host" | "port" | "agent"> => {
  const { dial, host, port } = endpoint
  return { host, port, agent: dial ? new DialAgent(dial, {}) : false }
}

/** Asked four times a request where it leads, it need not put the answer together each time. */
class OneWayAgent extends Agent {
  override getName(): string {
    return "there"
  }
}

class DialAgent extends OneWayAgent {
  readonly #dial: Dial
  constructor(dial: Dial, options: AgentOptions) {
    super(options)
    this.#dial = dial
  }
  override createConnection(
    { host, port }: ClientRequestArgs,
    made?: (error: Error | null, socket: Duplex) => void
  ): undefined {
    void this.#dial(host ?? "", Number(port)).then(
      (socket) => made?.(null, socket),
      // The socket is not looked at when there is an error, but the type wants one.
      (error: Error) => made?.(error, new Socket())
    )
  }
}
