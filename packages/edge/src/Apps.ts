/**
 * The apps' door: finds the stage by the exact host and hands the request on to its live release.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { makeBodyWatch } from "./BodyWatch.ts"
import { makeGate } from "./Gate.ts"
import { makeIdleWatch } from "./IdleWatch.ts"
import type { Limits } from "./Limits.ts"
import type { Listening } from "./Listener.ts"
import type { Meters } from "./Meters.ts"
import {
  badRequest,
  bodyTooLarge,
  isNavigation,
  noSuchHost,
  type Page,
  sendPage,
  sendPageOnSocket
} from "./Pages.ts"
import { forward } from "./Proxy.ts"
import { type RequestHead, readHead } from "./RequestHead.ts"
import type { Stage } from "./Stage.ts"
import type { Hostnames } from "./Stages.ts"
import { tunnel } from "./Tunnel.ts"
import { admit, type Patience } from "./WaitingRoom.ts"

export interface AppsOptions {
  readonly hostnames: Hostnames
  readonly meters: Meters
  readonly appsDomain: string
  /** For a release that is starting, waking up or coming back. */
  readonly patience: Patience
  /** Milliseconds without a byte after which a process is not waited for any longer. */
  readonly idleMs: number
  /** Milliseconds that a connection to a release may take to come about. */
  readonly connectMs: number
  readonly limits: Limits
}

export const makeApps = (options: AppsOptions): Listening => {
  const { appsDomain, connectMs, hostnames, idleMs, limits, meters, patience } = options
  const idle = makeIdleWatch(idleMs)
  const bodies = makeBodyWatch(limits)
  const gate = makeGate(limits)
  const suffix = `.${appsDomain.toLowerCase()}`
  const find = (
    { bodyBytes, fault, hasBody, host }: RequestHead,
    upgrade: boolean
  ): Stage | Page => {
    if (fault !== null) return fault
    if (bodyBytes > limits.bodyBytes) return bodyTooLarge
    if (upgrade && hasBody) return badRequest("An upgrade can't have a body.")
    const stage = host.endsWith(suffix) ? hostnames.get(host.slice(0, -suffix.length)) : undefined
    return stage ?? noSuchHost(host, appsDomain)
  }
  /** Why it does not even get to wait; null: it is in. */
  const refusal = (
    found: Stage | Page,
    { socket }: IncomingMessage,
    client: ServerResponse | Duplex
  ): Page | null => {
    const isPage = "status" in found
    meters.enter(isPage ? null : found.spec.stage, client)
    if (isPage) return found
    return gate.enter(found.spec, socket.remoteAddress ?? "", client)
  }

  return {
    onRequest: (request, response) => {
      const head = readHead(request, false)
      const found = find(head, false)
      const refused = refusal(found, request, response)
      if (refused !== null) return sendPage(request, response, refused)
      admit(found, () => find(head, false), patience, {
        client: response,
        looks: () => isNavigation(request),
        refuse: (page) => sendPage(request, response, page),
        files: (files) => files.serve(request, response),
        upstream: (release, upstream, name, unreachable) => {
          const exchange = { request, response, head, name, idle, bodies, connectMs, unreachable }
          forward(release, upstream, exchange)
        }
      })
    },
    onUpgrade: (request, socket, early) => {
      // Without a listener, a client that resets the connection would be a fault of the edge.
      socket.on("error", () => socket.destroy())
      const head = readHead(request, true)
      const found = find(head, true)
      const refused = refusal(found, request, socket)
      if (refused !== null) return sendPageOnSocket(request, socket, refused)
      admit(found, () => find(head, true), patience, {
        client: socket,
        looks: () => false,
        refuse: (page) => sendPageOnSocket(request, socket, page),
        files: () => sendPageOnSocket(request, socket, badRequest("A static site has no upgrade.")),
        upstream: (release, upstream, name, unreachable) => {
          const exchange = { request, socket, early, head, name, idleMs, connectMs, unreachable }
          tunnel(release, upstream, exchange)
        }
      })
    }
  }
}
