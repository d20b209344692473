/**
 * The apps' door: finds the stage by the exact host and hands the request on to its live release.
 */
import { makeIdleWatch } from "./IdleWatch.ts"
import type { Listening } from "./Listener.ts"
import { badRequest, noSuchHost, type Page, sendPage, sendPageOnSocket } from "./Pages.ts"
import { forward } from "./Proxy.ts"
import { type RequestHead, readHead } from "./RequestHead.ts"
import type { Stage } from "./Stage.ts"
import type { Hostnames } from "./Stages.ts"
import { tunnel } from "./Tunnel.ts"
import { admit, type Patience } from "./WaitingRoom.ts"

export interface AppsOptions {
  readonly hostnames: Hostnames
  readonly appsDomain: string
  /** For a release that is starting, waking up or coming back. */
  readonly patience: Patience
  /** Milliseconds without a byte after which a process is not waited for any longer. */
  readonly idleMs: number
  /** Milliseconds that a connection to a release may take to come about. */
  readonly connectMs: number
}

export const makeApps = (options: AppsOptions): Listening => {
  const { appsDomain, connectMs, hostnames, idleMs, patience } = options
  const idle = makeIdleWatch(idleMs)
  const suffix = `.${appsDomain.toLowerCase()}`
  const find = ({ fault, hasBody, host }: RequestHead, upgrade: boolean): Stage | Page => {
    if (fault !== null) return badRequest(fault)
    if (upgrade && hasBody) return badRequest("An upgrade can't have a body.")
    const stage = host.endsWith(suffix) ? hostnames.get(host.slice(0, -suffix.length)) : undefined
    return stage ?? noSuchHost(host, appsDomain)
  }

  return {
    onRequest: (request, response) => {
      const head = readHead(request, false)
      admit(() => find(head, false), patience, {
        client: response,
        refuse: (page) => sendPage(request, response, page),
        files: (files) => files.serve(request, response),
        upstream: (release, upstream, name, unreachable) => {
          const exchange = { request, response, head, name, idle, connectMs, unreachable }
          forward(release, upstream, exchange)
        }
      })
    },
    onUpgrade: (request, socket, early) => {
      // Without a listener, a client that resets the connection would be a fault of the edge.
      socket.on("error", () => socket.destroy())
      const head = readHead(request, true)
      admit(() => find(head, true), patience, {
        client: socket,
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
