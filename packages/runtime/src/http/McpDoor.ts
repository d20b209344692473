/** MCP at /mcp, for agents. */
import type { McpOptions } from "@deploy-mcp/mcp/Server"
import type { Commands } from "@deploy-mcp/mcp/Tool"
import { Effect, type Scope } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

export const layer = (options: McpOptions) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const context = yield* Effect.context<Commands | Scope.Scope>()
      // The protocol library takes 15 MB and 40 ms, so it is loaded when the first agent comes; in our
      // own context and to its end, because that agent may leave meanwhile.
      const load = Effect.promise(() => import("@deploy-mcp/mcp/Server")).pipe(
        Effect.flatMap(({ mcpHandler }) => mcpHandler(options))
      )
      const handler = yield* Effect.promise(() => Effect.runPromiseWith(context)(load)).pipe(
        Effect.uninterruptible,
        Effect.cached
      )
      yield* router.add(
        "*",
        "/mcp",
        Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
          const handle = yield* handler
          // Without it a client that hangs up before the first byte of its answer is not noticed.
          const gone = new AbortController()
          const web = yield* HttpServerRequest.toWeb(request, { signal: gone.signal })
          return yield* Effect.promise(() => handle(web)).pipe(
            Effect.onInterrupt(() => Effect.sync(() => gone.abort())),
            Effect.map(HttpServerResponse.fromWeb)
          )
        })
      )
    })
  )
