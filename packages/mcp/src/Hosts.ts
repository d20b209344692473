/**
 * Which names a request may call us by. A browser that was lured to another name for our address, or
 * a page of a deployed service, sends a Host or an Origin that is not on the list.
 */
import { Failure } from "@deploy-mcp/domain/Failure"

export const loopbackHosts: ReadonlyArray<string> = ["localhost", "127.0.0.1", "[::1]"]

/** Null when the request may go on. `allowed` are host names without a port. */
export const refusedHost = (
  headers: { readonly host: string | null | undefined; readonly origin: string | null | undefined },
  allowed: ReadonlySet<string>
): Failure | null => {
  if (!headers.host || !allowed.has(hostnameOf(`http://${headers.host}`))) {
    return Failure.of(
      "forbidden",
      "The Host header names a host that this server does not serve.",
      {
        next: "Use the address that the server printed at its start, or ask the operator to allow this host name."
      }
    )
  }
  if (headers.origin && !isAllowedOrigin(headers.origin, allowed)) {
    return Failure.of("forbidden", "Pages of this origin may not call this server.", {
      next: "Call without an Origin header, or ask the operator to allow this origin."
    })
  }
  return null
}

export const isAllowedOrigin = (origin: string, allowed: ReadonlySet<string>): boolean =>
  allowed.has(hostnameOf(origin))

const hostnameOf = (url: string): string => URL.parse(url)?.hostname ?? ""
