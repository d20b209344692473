/** The three kinds of MCP clients that agents come with, behind one face. */
import * as New from "@modelcontextprotocol/client"
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"

export interface Progress {
  readonly progress: number
  readonly message?: string | undefined
}

export interface ListedTool {
  readonly name: string
  readonly description?: string | undefined
  readonly annotations?: Readonly<Record<string, unknown>> | undefined
}

export interface Agent {
  readonly tools: () => Promise<ReadonlyArray<ListedTool>>
  /** The structured result; an error answer is `{ error }`. */
  readonly call: (
    name: string,
    args?: Record<string, unknown>,
    onprogress?: (progress: Progress) => void
  ) => Promise<Record<string, unknown>>
  readonly close: () => Promise<void>
}

export type Connect = (url: string, key: string) => Promise<Agent>

const me = { name: "end-to-end", version: "0" }
const withKey = (key: string) => ({ requestInit: { headers: { authorization: `Bearer ${key}` } } })
const optionsOf = (onprogress: ((progress: Progress) => void) | undefined) => ({
  timeout: 60_000,
  ...(onprogress === undefined ? {} : { onprogress })
})

const oldClient: Connect = async (url, key) => {
  const client = new OldClient(me)
  const transport = new OldTransport(new URL(`${url}/mcp`), withKey(key))
  await client.connect(transport)
  return {
    tools: async () => (await client.listTools()).tools,
    call: async (name, args = {}, onprogress) =>
      contentOf(await client.callTool({ name, arguments: args }, undefined, optionsOf(onprogress))),
    close: async () => {
      await transport.terminateSession()
      await client.close()
    }
  }
}

const newClient =
  (mode: "auto" | "legacy"): Connect =>
  async (url, key) => {
    const client = new New.Client(me, mode === "auto" ? { versionNegotiation: { mode } } : {})
    const transport = new New.StreamableHTTPClientTransport(new URL(`${url}/mcp`), withKey(key))
    await client.connect(transport)
    return {
      tools: async () => (await client.listTools()).tools,
      call: async (name, args = {}, onprogress) =>
        contentOf(await client.callTool({ name, arguments: args }, optionsOf(onprogress))),
      close: async () => {
        if (mode === "legacy") await transport.terminateSession()
        await client.close()
      }
    }
  }

export const agents: ReadonlyArray<readonly [label: string, connect: Connect]> = [
  ["sdk-1", oldClient],
  ["client-2", newClient("legacy")],
  ["client-2-auto", newClient("auto")]
]

/** The text says the same as the structure; an error has no structure. */
const contentOf = (answer: object): Record<string, unknown> => {
  const content = "content" in answer && Array.isArray(answer.content) ? answer.content : []
  const parsed: unknown = JSON.parse(content[0]?.text)
  if (!isRecord(parsed)) throw new Error(`not an object: ${content[0]?.text}`)
  return parsed
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
