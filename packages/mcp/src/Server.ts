/**
 * The agents' door: MCP over Streamable HTTP, two eras from one endpoint. Revisions up to 2025-11-25
 * talk in sessions, 2026-07-28 in single requests; the same tools answer both. This is the only file
 * that knows the protocol library.
 */
import { CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Principal, type PrincipalData } from "@deploy-mcp/domain/model/Principal"
import {
  type AuthInfo,
  type CallToolResult,
  createMcpHandler,
  DEFAULT_MAX_REQUEST_BODY_SIZE,
  isInitializeRequest,
  isLegacyRequest,
  type ListToolsResult,
  ProtocolError,
  ProtocolErrorCode,
  readRequestBody,
  Server,
  type ServerContext,
  WebStandardStreamableHTTPServerTransport
} from "@modelcontextprotocol/server"
import { Cause, Clock, Effect, Exit, Option, Result, Schedule, Schema } from "effect"
import { authenticate } from "./Auth.ts"
import { findTool, toolsFor } from "./Catalog.ts"
import { loopbackHosts, refusedHost } from "./Hosts.ts"
import { instructions } from "./Instructions.ts"
import { nearest } from "./Nearest.ts"
import { Progress } from "./Progress.ts"
import { refusal } from "./Refusal.ts"
import { defaultLimits, type Limits, makeSessions } from "./Sessions.ts"
import { type Commands, callTool, maskDefect, type Tool, type Toolset } from "./Tool.ts"

export interface McpOptions {
  readonly version: string
  /** Host names, besides the loopback ones, that requests may name in Host and Origin. */
  readonly allowedHosts?: ReadonlyArray<string>
  readonly sessions?: Limits
}

/** Who sent one request, and a signal for when they hang up. */
interface Caller {
  readonly principal: PrincipalData
  readonly gone: AbortSignal
}

const toolsets: ReadonlyArray<Toolset> = ["deploy"]

/** Answers each request on the endpoint; sessions end with the scope. Never rejects. */
export const mcpHandler = (options: McpOptions) =>
  Effect.gen(function* () {
    const context = yield* Effect.context<Commands>()
    const allowed = new Set([...loopbackHosts, ...(options.allowedHosts ?? [])])
    // The library hands its AuthInfo through to our handlers unchanged, so it can stand for the caller.
    const callers = new WeakMap<AuthInfo, Caller>()
    const build = () => makeServer(options.version, callers, Effect.runPromiseExitWith(context))
    const sessions = makeSessions<WebStandardStreamableHTTPServerTransport>(
      (transport) => void transport.close(),
      options.sessions ?? defaultLimits
    )
    const modern = createMcpHandler(build, { legacy: "reject" })

    const endIdle = Effect.map(Clock.currentTimeMillis, sessions.endIdle)
    yield* Effect.forkScoped(Effect.repeat(endIdle, Schedule.spaced("1 minute")))
    yield* Effect.addFinalizer(() =>
      Effect.promise(() => {
        sessions.endAll()
        return modern.close()
      })
    )

    const serve = Effect.fnUntraced(function* (request: Request) {
      const { headers, method } = request
      const refused = refusedHost(
        { host: headers.get("host"), origin: headers.get("origin") },
        allowed
      )
      if (refused !== null) return yield* new CommandError({ failure: refused })
      const principal = yield* authenticate(headers.get("authorization"))
      const parsedBody = method === "POST" ? yield* readJson(request) : undefined
      const gone = new AbortController()
      const authInfo: AuthInfo = { token: "", clientId: principal.key, scopes: [] }
      callers.set(authInfo, { principal, gone: gone.signal })
      const extra = { authInfo, ...(parsedBody === undefined ? {} : { parsedBody }) }
      if (!(yield* Effect.promise(() => isLegacyRequest(request, parsedBody)))) {
        return yield* Effect.promise(() => modern.fetch(request, extra))
      }
      const now = yield* Clock.currentTimeMillis
      const id = headers.get("mcp-session-id")
      const session = id === null ? undefined : sessions.find(id, principal.key, now)
      if (id !== null && session === undefined) {
        // Clients take 404 as the sign to initialize again.
        return yield* refuse("not_found", "There is no such session, or another key opened it.", {
          next: "Initialize a new session."
        })
      }
      if (session === undefined && !isInitializeRequest(parsedBody)) {
        return yield* refuse("invalid_argument", "The request belongs to no session.", {
          next: "Send initialize first, then the Mcp-Session-Id that it answers with each request."
        })
      }
      const transport = session?.transport ?? (yield* openSession(principal.key, now))
      const response = yield* Effect.promise(() => transport.handleRequest(request, extra))
      return noticeHangUp(response, gone, method)
    })

    const openSession = (key: string, now: number) =>
      Effect.promise(async () => {
        const transport = new WebStandardStreamableHTTPServerTransport({
          sessionIdGenerator: () => crypto.randomUUID(),
          onsessioninitialized: (id) => sessions.add({ id, key, transport }, now)
        })
        transport.onclose = () => {
          if (transport.sessionId !== undefined) sessions.end(transport.sessionId)
        }
        await build().connect(transport)
        return transport
      })

    return (request: Request): Promise<Response> =>
      serve(request).pipe(
        Effect.catchDefect((defect) => maskDefect("/mcp", Cause.die(defect))),
        Effect.catchTag("CommandError", ({ failure }) =>
          Effect.succeed(refusal(failure, request.headers.get("authorization")))
        ),
        Effect.runPromiseWith(context)
      )
  })

const readJson = Effect.fnUntraced(function* (request: Request) {
  const body = yield* Effect.promise(() => readRequestBody(request))
  if (body.tooLarge) {
    return yield* refuse(
      "request_too_large",
      `The request body is longer than ${DEFAULT_MAX_REQUEST_BODY_SIZE} bytes.`
    )
  }
  const json = parseJson(body.text)
  return Option.isSome(json)
    ? json.value
    : yield* refuse("invalid_argument", "The request body is not valid JSON.")
})

const parseJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

type RunExit = (
  effect: Effect.Effect<unknown, CommandError, Commands>,
  options: { readonly signal: AbortSignal }
) => Promise<Exit.Exit<unknown, CommandError>>

/** Cheap to make: one for each session, and one for each request of the stateless era. */
const makeServer = (version: string, callers: WeakMap<AuthInfo, Caller>, run: RunExit): Server => {
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
  const callerOf = (context: ServerContext): Caller => {
    const caller = context.http?.authInfo && callers.get(context.http.authInfo)
    if (caller) return caller
    throw new ProtocolError(ProtocolErrorCode.InternalError, "The request has no caller.")
  }
  server.setRequestHandler(
    "tools/list",
    (_, context): ListToolsResult => ({
      tools: toolsFor(callerOf(context).principal, toolsets).map(listed)
    })
  )
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    const tool = findTool(params.name, toolsets)
    if (tool === undefined) throw unknownTool(params.name, callerOf(context).principal)
    const { principal, gone } = callerOf(context)
    const call = callTool(tool, params.arguments).pipe(
      Effect.provideService(Principal, principal),
      Effect.provideService(Progress, progressOf(context))
    )
    return toResult(await run(call, { signal: AbortSignal.any([context.mcpReq.signal, gone]) }))
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

const unknownTool = (name: string, principal: PrincipalData) => {
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

/**
 * A 2025 answer is a stream. When its reader goes away the call is interrupted; and a stream that
 * waits for news opens with a comment, so that the client sees its headers now.
 */
const noticeHangUp = (response: Response, gone: AbortController, method: string): Response => {
  if (response.body === null) return response
  const reader = response.body.getReader()
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      if (method === "GET" && response.ok)
        controller.enqueue(new TextEncoder().encode(": open\n\n"))
    },
    pull: async (controller) => {
      const { done, value } = await reader.read()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: (reason) => {
      gone.abort()
      return reader.cancel(reason)
    }
  })
  return new Response(body, { status: response.status, headers: response.headers })
}
