/** Tool calls as bytes on a kept connection, so that no client library is measured. */
import { Agent } from "node:http"
import { ask } from "../e2e/Requests.ts"

export interface Door {
  readonly port: number
  readonly key: string
}

/** Calls a tool; answers with the whole text of the response. */
export type Call = (name: string, args: Readonly<Record<string, unknown>>) => Promise<string>

export interface Caller {
  readonly call: Call
  readonly close: () => void
}

const me = { name: "bench", version: "0" }

/** Revisions up to 2025-11-25: initialize once, then calls in that session. */
export const inSession = async (door: Door): Promise<Caller> => {
  const { post, close } = connection(door)
  const opened = await post(
    request("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: me })
  )
  const headers = {
    "mcp-session-id": String(opened.headers["mcp-session-id"]),
    "mcp-protocol-version": "2025-11-25"
  }
  await post({ jsonrpc: "2.0", method: "notifications/initialized" }, headers)
  return {
    call: async (name, args) =>
      checked(await post(request("tools/call", { name, arguments: args }), headers)),
    close
  }
}

/** Revision 2026-07-28: each call says all by itself. */
export const stateless = (door: Door): Caller => {
  const { post, close } = connection(door)
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": me,
    "io.modelcontextprotocol/clientCapabilities": {}
  }
  return {
    call: async (name, args) =>
      checked(
        await post(request("tools/call", { name, arguments: args, _meta }), {
          "mcp-protocol-version": "2026-07-28",
          "mcp-method": "tools/call",
          "mcp-name": name
        })
      ),
    close
  }
}

const connection = ({ port, key }: Door) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const post = (message: object, headers: Readonly<Record<string, string>> = {}) =>
    ask({
      port,
      host: `127.0.0.1:${port}`,
      path: "/mcp",
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        authorization: `Bearer ${key}`,
        ...headers
      },
      body: JSON.stringify(message),
      agent
    })
  return { post, close: () => agent.destroy() }
}

let requests = 0

const request = (method: string, params: object) => ({
  jsonrpc: "2.0",
  id: ++requests,
  method,
  params
})

const checked = ({ status, body }: { readonly status: number; readonly body: string }): string => {
  if (status === 200 && body.includes('"result"') && !body.includes('"isError":true')) return body
  throw new Error(`a tool call was answered with ${status} ${body.slice(0, 500)}`)
}
