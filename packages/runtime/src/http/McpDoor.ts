/** MCP at /mcp, for agents. */
import { type McpOptions, mcpHandler } from "@deploy-mcp/mcp/Server"
import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

export const layer = (options: McpOptions) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const handle = yield* mcpHandler(options)
      yield* router.add(
        "*",
        "/mcp",
        Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
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
