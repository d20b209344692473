/** What browsers ask of a server that pages of other origins may call. Only for origins on the list. */
import { isAllowedOrigin } from "./Hosts.ts"

/** Answers the question that a browser sends ahead, without its key. */
export const preflight = (): Response =>
  new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": "GET, POST, DELETE",
      "access-control-allow-headers":
        "Authorization, Content-Type, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name, Last-Event-ID",
      "access-control-max-age": "7200"
    }
  })

/** Lets pages of an allowed origin read any answer, refusals too. Never with cookies. */
export const allowBrowser = (
  response: Response,
  origin: string | null,
  allowed: ReadonlySet<string>
): Response => {
  // Caches must not give one origin the answer for another.
  response.headers.append("vary", "Origin")
  if (origin !== null && isAllowedOrigin(origin, allowed)) {
    response.headers.set("access-control-allow-origin", origin)
    response.headers.set(
      "access-control-expose-headers",
      "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After"
    )
  }
  return response
}
