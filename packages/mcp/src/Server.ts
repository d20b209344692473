/**
 * The agents' door: MCP over Streamable HTTP, two eras from one endpoint. Revisions up to 2025-11-25
 * talk in sessions, 2026-07-28 in single requests; the same offer answers both.
 */
import { CommandError, refuse } from "@deploy-mcp/domain/Failure"
import type { PrincipalData } from "@deploy-mcp/domain/model/Principal"
import { steadyMillis } from "@deploy-mcp/domain/SteadyMillis"
import {
  type AuthInfo,
  createMcpHandler,
  DEFAULT_MAX_REQUEST_BODY_SIZE,
  isInitializeRequest,
  isLegacyRequest,
  ProtocolError,
  ProtocolErrorCode,
  readRequestBody,
  WebStandardStreamableHTTPServerTransport
} from "@modelcontextprotocol/server"
import { Cause, Effect, Option, Schedule, Schema } from "effect"
import { authenticate as byKey } from "./Auth.ts"
import { allowBrowser, preflight } from "./Browsers.ts"
import { loopbackHosts, refusedHost } from "./Hosts.ts"
import { type Caller, type Desk, type Offer, ourTools } from "./Offer.ts"
import { refusal } from "./Refusal.ts"
import { defaultLimits, type Limits, makeSessions } from "./Sessions.ts"
import { type Commands, maskDefect } from "./Tool.ts"
import { chosenToolsets } from "./Toolsets.ts"

export interface McpOptions {
  readonly version: string
  /** Host names, besides the loopback ones, that requests may name in Host and Origin. */
  readonly allowedHosts?: ReadonlyArray<string>
  readonly sessions?: Limits
  /** Who sends a request, by its Authorization header; by default the owner of the key in it. */
  readonly authenticate?: (
    authorization: string | null
  ) => Effect.Effect<PrincipalData, CommandError, Commands>
  /** By default our tools. */
  readonly offer?: Offer
}

/** Answers each request on the endpoint; sessions end with the scope. Never rejects. */
export const mcpHandler = (options: McpOptions) =>
  Effect.gen(function* () {
    const context = yield* Effect.context<Commands>()
    const allowed = new Set([...loopbackHosts, ...(options.allowedHosts ?? [])])
    const authenticate = options.authenticate ?? byKey
    // The library hands its AuthInfo through to our handlers unchanged, so it can stand for the caller.
    const callers = new WeakMap<AuthInfo, Caller>()
    const desk: Desk = {
      version: options.version,
      run: Effect.runPromiseExitWith(context),
      callerOf: ({ http }) => {
        const caller = http?.authInfo && callers.get(http.authInfo)
        if (caller) return caller
        throw new ProtocolError(ProtocolErrorCode.InternalError, "The request has no caller.")
      }
    }
    const build = () => (options.offer ?? ourTools)(desk)
    const limits = options.sessions ?? defaultLimits
    const sessions = makeSessions<WebStandardStreamableHTTPServerTransport>(
      (transport) => void transport.close(),
      limits
    )
    const modern = createMcpHandler(build, { legacy: "reject" })

    const endIdle = Effect.map(steadyMillis, sessions.endIdle)
    yield* Effect.forkScoped(
      Effect.repeat(endIdle, Schedule.spaced(Math.min(limits.idleMillis, 60_000)))
    )
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
      if (method === "OPTIONS") return preflight()
      const principal = yield* authenticate(headers.get("authorization"))
      const toolsets = yield* chosenToolsets(new URL(request.url).searchParams)
      const parsedBody = method === "POST" ? yield* readJson(request) : undefined
      const gone = new AbortController()
      const authInfo: AuthInfo = { token: "", clientId: principal.key, scopes: [] }
      const signal = AbortSignal.any([gone.signal, request.signal])
      callers.set(authInfo, { principal, toolsets, gone: signal })
      const extra = { authInfo, ...(parsedBody === undefined ? {} : { parsedBody }) }
      if (!(yield* Effect.promise(() => isLegacyRequest(request, parsedBody)))) {
        return yield* Effect.promise(() => modern.fetch(request, extra))
      }
      const now = yield* steadyMillis
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
        Effect.map((response) => allowBrowser(response, request.headers.get("origin"), allowed)),
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
