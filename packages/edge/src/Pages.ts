/** What the edge says itself: a page for people, JSON for programs, and nothing secret in either. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http"
import { STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"

export interface Page {
  readonly status: number
  readonly code: string
  readonly title: string
  /** One sentence: what happened. */
  readonly message: string
  /** One sentence: what to do now. */
  readonly next: string
  /** Seconds after which asking again makes sense; a browser does it by itself. */
  readonly retryAfter?: number
  /** What the service does meanwhile, for programs. */
  readonly state?: StartState
  readonly headers?: Readonly<Record<string, string>>
}

/** From its first start or after a crash; or from its sleep. */
export type StartState = "starting" | "waking"

/** It is a browser that shows the answer in a window; what its scripts ask for can wait. */
export const isNavigation = ({ headers, method }: IncomingMessage): boolean =>
  (method === "GET" || method === "HEAD") &&
  wantsHtml(headers) &&
  ["document", "iframe", "frame"].includes(String(headers["sec-fetch-dest"] ?? "document"))

export const sendPage = (request: IncomingMessage, response: ServerResponse, page: Page): void => {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const { body, headers } = render(request, page)
  // What is left of a body would have to be read before the connection can be used again.
  const unread = !request.complete && hasBody(request)
  response.writeHead(page.status, { ...headers, ...(unread ? { connection: "close" } : {}) })
  response.end(request.method === "HEAD" ? undefined : body)
}

/** The same on the bare socket of a refused upgrade, which it closes. */
export const sendPageOnSocket = (request: IncomingMessage, socket: Duplex, page: Page): void => {
  const { body, headers } = render(request, page)
  const lines = Object.entries({ ...headers, connection: "close" })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")
  const statusText = STATUS_CODES[page.status] ?? ""
  socket.end(`HTTP/1.1 ${page.status} ${statusText}\r\n${lines}\r\n${body}`)
}

export const noSuchHost = (host: string, appsDomain: string): Page => ({
  status: 404,
  code: "no_such_host",
  title: "Nothing is deployed here",
  message: host === "" ? "The request names no host." : `No service has the hostname ${host}.`,
  next: `Services answer at <hostname>.${appsDomain}; list_services shows the URL of each.`
})

export const notLive = (name: string): Page => ({
  status: 503,
  code: "not_live",
  title: `${name} is not live yet`,
  message: `No release of ${name} is live yet.`,
  next: "Wait for its first deployment; wait_for_deployment shows how far it is.",
  retryAfter: 2
})

export const starting = (name: string, state: StartState): Page => ({
  status: 503,
  code: "starting",
  title: titleOf(name, state),
  message:
    state === "waking"
      ? `Nobody had asked for ${name} for a while, so it was asleep. It is being started.`
      : `${name} is being started and can't answer yet.`,
  state,
  next: "Try again in a moment.",
  retryAfter: 2
})

export const crowded = (name: string, state: StartState): Page => ({
  status: 503,
  code: "crowded",
  title: titleOf(name, state),
  state,
  message: `${name} is being started, and too many requests wait for it already.`,
  next: "Try again in a moment.",
  retryAfter: 2
})

const titleOf = (name: string, state: StartState): string =>
  state === "waking" ? `${name} is waking up` : `${name} is starting`

export const failed = (name: string, failureCode: string | null): Page => ({
  status: 502,
  code: failureCode ?? "unreachable",
  title: `${name} does not answer`,
  message: `${name} is deployed, but its process does not answer${
    failureCode === null ? "" : ` (${failureCode})`
  }.`,
  next: "Its owner reads why with get_logs."
})

export const cutOff = (name: string): Page => ({
  status: 502,
  code: "connection_closed",
  title: `${name} hung up`,
  message: `${name} closed the connection before it answered.`,
  next: "Try again; its owner reads why with get_logs."
})

export const silent = (name: string): Page => ({
  status: 504,
  code: "timed_out",
  title: `${name} says nothing`,
  message: `${name} took the request, but has not answered it in time.`,
  next: "Try again; its owner reads why with get_logs."
})

export const badRequest = (message: string): Page => ({
  status: 400,
  code: "bad_request",
  title: "The request can't be served",
  message,
  next: "Correct the request."
})

export const headTooLarge: Page = {
  status: 431,
  code: "too_many_fields",
  title: "The request has too many fields",
  message: "The request's head has more fields than are read here.",
  next: "Send fewer header fields or cookies."
}

export const bodyTooLarge: Page = {
  status: 413,
  code: "body_too_large",
  title: "The request is too large",
  message: "The request's body is longer than is taken here.",
  next: "Send it in parts."
}

export const bodyTooSlow: Page = {
  status: 408,
  code: "body_too_slow",
  title: "The request took too long",
  message: "The request's body did not come in time.",
  next: "Send the request again, at once and whole."
}

export const busy = (name: string): Page => ({
  status: 503,
  code: "busy",
  title: `${name} is busy`,
  message: `${name} is answering as many requests as it may at a time.`,
  next: "Try again in a moment.",
  retryAfter: 1
})

export const tooMany: Page = {
  status: 429,
  code: "rate_limited",
  title: "Too many requests at a time",
  message: "This address has as many requests under way as it may have at a time.",
  next: "Wait for some of them to be answered, then try again.",
  retryAfter: 1
}

export const nothingAt = (path: string): Page => ({
  status: 404,
  code: "not_found",
  title: "There is no such page",
  message: path === "/" ? "The site has no index.html." : `The site has nothing at ${path}.`,
  next: path === "/" ? "Add an index.html and push again." : "Check the path."
})

export const methodNotAllowed = (method: string | undefined): Page => ({
  status: 405,
  code: "method_not_allowed",
  title: "Only reading is possible here",
  message: `This is a static site; it does not take ${method}.`,
  next: "Use GET or HEAD.",
  headers: { allow: "GET, HEAD" }
})

export const preconditionFailed: Page = {
  status: 412,
  code: "precondition_failed",
  title: "It has changed",
  message: "The file is not the one that the request was made for.",
  next: "Ask for it again without If-Match and If-Unmodified-Since."
}

const render = (request: IncomingMessage, page: Page) => {
  const isHtml = wantsHtml(request.headers)
  const body = isHtml ? html(page) : json(page)
  const headers: Record<string, string | number> = {
    ...page.headers,
    "content-type": isHtml ? "text/html; charset=utf-8" : "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    vary: "accept",
    ...(page.retryAfter === undefined ? {} : { "retry-after": page.retryAfter })
  }
  return { body, headers }
}

const wantsHtml = ({ accept }: IncomingHttpHeaders): boolean =>
  accept?.includes("text/html") === true

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0

const json = ({ code, message, next, retryAfter, state }: Page): string =>
  `${JSON.stringify({ error: { code, message, next, state, retry_after: retryAfter } })}\n`

const html = ({
  code,
  message,
  next,
  retryAfter,
  state,
  status,
  title
}: Page): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${retryAfter === undefined ? "" : `<meta http-equiv="refresh" content="${retryAfter}">\n`}<title>${escape(title)}</title>
<style>
:root { color-scheme: light dark; --ink: #16181d; --soft: #626873; --line: #e3e5ea; --paper: #fbfbfc }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eceef2; --soft: #9aa1ad; --line: #2a2e36; --paper: #14161a }
}
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper);
  color: var(--ink); font: 16px/1.6 system-ui, sans-serif }
main { max-width: 32rem; padding: 2rem }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; line-height: 1.25; letter-spacing: -.01em }
p { margin: 0 0 1rem; overflow-wrap: anywhere }
.next { color: var(--soft) }
.wait { height: 3px; margin: 0 0 1rem; overflow: hidden; border-radius: 2px; background: var(--line) }
.wait::before { content: ""; display: block; width: 35%; height: 100%; background: var(--soft);
  animation: pass 1.4s ease-in-out infinite alternate }
@keyframes pass { to { transform: translateX(186%) } }
@media (prefers-reduced-motion: reduce) { .wait::before { width: 100%; animation: none } }
a { color: inherit }
footer { border-top: 1px solid var(--line); padding-top: .75rem; color: var(--soft);
  font: .8rem/1.4 ui-monospace, monospace }
</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${state === undefined ? "" : `<div class="wait" aria-hidden="true"></div>\n`}<p role="status">${escape(message)}</p>
<p class="next">${retryAfter === undefined ? escape(next) : again(retryAfter)}</p>
<footer>${status} &middot; ${escape(code)}</footer>
</main>
</body>
</html>
`

/** An empty address is the page's own. */
const again = (seconds: number): string =>
  `This page asks again by itself in ${seconds === 1 ? "a second" : `${seconds} seconds`}. <a href="">Ask now</a>`

const escape = (text: string): string =>
  text.replace(/[&<>"']/gu, (character) => `&#${character.charCodeAt(0)};`)
