/**
 * Finds bodies that come too slowly, which keep a process waiting for nothing, and those that do not
 * end. One timer looks after all of them.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Limits } from "./Limits.ts"
import { bodyTooLarge, bodyTooSlow, type Page } from "./Pages.ts"

export interface BodyWatch {
  /** From when somebody reads the body until it is complete; calls back at most once. */
  readonly add: (
    request: IncomingMessage,
    response: ServerResponse,
    refuse: (page: Page) => void
  ) => void
}

export const makeBodyWatch = ({
  bodyBytes,
  bodyBytesPerSecond,
  bodyMs
}: Pick<Limits, "bodyBytes" | "bodyBytesPerSecond" | "bodyMs">): BodyWatch => {
  const bodies = new Set<Body>()
  const lookMs = bodyMs / 4
  const look = (): void => {
    for (const body of bodies) {
      const { from, refuse, request, response } = body
      const bytes = request.socket.bytesRead - from
      if (request.complete || request.destroyed) {
        bodies.delete(body)
        continue
      }
      // What waits to be read, and a conversation that has begun, are not the client's fault.
      if (isAwaited(request) && !response.headersSent) body.waitedMs += lookMs
      const isSlow = body.waitedMs > bodyMs + (bytes / bodyBytesPerSecond) * 1_000
      if (!isSlow && bytes <= bodyBytes) continue
      bodies.delete(body)
      refuse(isSlow ? bodyTooSlow : bodyTooLarge)
    }
  }
  setInterval(look, lookMs).unref()
  return {
    add: (request, response, refuse) => {
      const from = request.socket.bytesRead
      bodies.add({ request, response, refuse, from, waitedMs: 0 })
    }
  }
}

/** Whether somebody reads, and has read all that came. */
const isAwaited = (request: IncomingMessage): boolean =>
  (request.readableFlowing === true || request.listenerCount("readable") > 0) &&
  request.readableLength === 0

interface Body {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly refuse: (page: Page) => void
  /** Bytes that the connection had received before. */
  readonly from: number
  waitedMs: number
}
