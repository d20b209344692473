/** What callers of the endpoint are offered: our tools, answered in the protocol's words. */
import type { CommandError } from "@deploy-mcp/domain/Failure"
import { Principal, type PrincipalData } from "@deploy-mcp/domain/model/Principal"
import {
  type CallToolResult,
  type ListToolsResult,
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext
} from "@modelcontextprotocol/server"
import { Cause, Effect, Exit, Result } from "effect"
import { findTool, toolsFor } from "./Catalog.ts"
import { instructions } from "./Instructions.ts"
import { nearest } from "./Nearest.ts"
import { Progress } from "./Progress.ts"
import { type Commands, callTool, type Tool, type Toolset } from "./Tool.ts"

/** Who sent one request, what their address asks for, and a signal for when they hang up. */
export interface Caller {
  readonly principal: PrincipalData
  readonly toolsets: ReadonlyArray<Toolset>
  readonly gone: AbortSignal
}

/** What an offer is made of: one is made for each session, and for each request of the stateless era. */
export interface Desk {
  readonly version: string
  /** Throws for a request that came in no other way than through the endpoint. */
  readonly callerOf: (context: ServerContext) => Caller
  readonly run: (
    effect: Effect.Effect<unknown, CommandError, Commands>,
    options: { readonly signal: AbortSignal }
  ) => Promise<Exit.Exit<unknown, CommandError>>
}

/** Must be cheap. What it answers is a function of the caller alone, never of the connection. */
export type Offer = (desk: Desk) => McpServer | Server

export const ourTools: Offer = ({ version, callerOf, run }) => {
  const server = new Server(
    { name: "deploy-mcp", title: "Deploy MCP", version },
    {
      capabilities: { tools: {} },
      instructions,
      cacheHints: { "tools/list": { ttlMs: 300_000, cacheScope: "private" } },
      // Arguments are judged by our own catalogue; the default would build a validator each time.
      jsonSchemaValidator: {
        getValidator: () => () => ({
          valid: false,
          data: undefined,
          errorMessage: "not used by this server"
        })
      }
    }
  )
  server.setRequestHandler("tools/list", (_, context): ListToolsResult => {
    const { principal, toolsets } = callerOf(context)
    return { tools: toolsFor(principal, toolsets).map(listed) }
  })
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    const caller = callerOf(context)
    const tool = findTool(params.name, caller.toolsets)
    if (tool === undefined) throw unknownTool(params.name, caller)
    const call = callTool(tool, params.arguments).pipe(
      Effect.provideService(Principal, caller.principal),
      Effect.provideService(Progress, progressOf(context))
    )
    const signal = AbortSignal.any([context.mcpReq.signal, caller.gone])
    return toResult(await run(call, { signal }))
  })
  return server
}

/** As tools/list shows it. */
export const listed = (tool: Tool): ListToolsResult["tools"][number] => ({
  name: tool.name,
  title: tool.title,
  description: tool.description,
  inputSchema: schemaOf(tool.inputSchema),
  outputSchema: schemaOf(tool.outputSchema),
  annotations: {
    readOnlyHint: tool.hints.readOnly,
    destructiveHint: tool.hints.destructive,
    idempotentHint: tool.hints.idempotent,
    openWorldHint: tool.hints.openWorld
  }
})

/** The library's type wants arrays that it may change. */
const schemaOf = ({ required, ...schema }: Tool["inputSchema"]) => ({
  ...schema,
  ...(required === undefined ? {} : { required: [...required] })
})

const unknownTool = (name: string, { principal, toolsets }: Caller) => {
  const near = nearest(
    name,
    toolsFor(principal, toolsets).map((tool) => tool.name)
  )
  return new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    near.length > 0
      ? `There is no such tool. Did you mean ${near.join(" or ")}?`
      : "There is no such tool; tools/list shows all."
  )
}

/** Notices go only to callers that gave a token, and rise strictly, as the protocol wants. */
const progressOf = ({ mcpReq }: ServerContext): Progress["Service"] => {
  const progressToken = mcpReq._meta?.progressToken
  let last = -1
  return {
    report: (done, total, message) => {
      if (progressToken === undefined) return Effect.void
      last = Math.max(done, last + 0.01)
      const params = { progressToken, progress: last, total, message }
      // A notice that cannot be delivered is no reason to fail.
      return Effect.promise(() =>
        mcpReq.notify({ method: "notifications/progress", params }).catch(() => undefined)
      )
    }
  }
}

const toResult = (exit: Exit.Exit<unknown, CommandError>): CallToolResult => {
  if (Exit.isSuccess(exit)) {
    return {
      content: [{ type: "text", text: JSON.stringify(exit.value) }],
      structuredContent: exit.value
    }
  }
  const error = Cause.findError(exit.cause)
  if (Result.isFailure(error)) {
    throw new ProtocolError(ProtocolErrorCode.InternalError, "The call was cancelled.")
  }
  // No structuredContent: clients would hold it against the tool's output schema.
  const text = JSON.stringify({ error: error.success.failure })
  return { content: [{ type: "text", text }], isError: true }
}
