/**
 * What the proxy needs of a request's head, found in one pass over the raw fields, and the fields as
 * they go on: without those that belong to one connection only (RFC 9110 §7.6.1) and with our own
 * word about who asks.
 */
import type { IncomingMessage } from "node:http"
import { headFields } from "./Limits.ts"
import { badRequest, headTooLarge, type Page } from "./Pages.ts"

export interface RequestHead {
  /** Lower case, without port and trailing dot; "" when there is none. */
  readonly host: string
  /** Why the request must not be served; null: nothing is wrong with it. */
  readonly fault: Page | null
  readonly hasBody: boolean
  /** Of the body, where the head says it. */
  readonly bodyBytes: number
  readonly expectsContinue: boolean
  readonly fields: Array<string>
}

export const readHead = (request: IncomingMessage, upgrade: boolean): RequestHead => {
  const { method = "GET", rawHeaders, socket } = request
  const fields: Array<string> = []
  let hostField = ""
  let hosts = 0
  let length: number | null = null
  let coding: string | null = null
  let expect = false
  let named: Set<string> | null = null
  let upgradeTo = ""
  let trailer: string | null = null
  let takesTrailers = false

  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ""
    const value = rawHeaders[at + 1] ?? ""
    const lower = name.toLowerCase()
    if (lower === "connection") {
      if (!plainConnection.test(value)) named = namesIn(value, named)
    } else if (lower === "upgrade") upgradeTo = value
    else if (lower === "transfer-encoding") coding = coding === null ? value : `${coding}, ${value}`
    else if (hopByHop.has(lower)) {
      if (lower === "trailer") trailer = value
      else if (lower === "te") takesTrailers = /\btrailers\b/iu.test(value)
    } else if (isForwarding(lower) || isDisguised(lower)) continue
    else if (lower === "content-length") length = Number(value)
    else {
      if (lower === "host") {
        hostField = value
        hosts += 1
      } else if (lower === "expect") expect = value.toLowerCase() === "100-continue"
      fields.push(name, value)
    }
  }
  const chunked = coding !== null
  const kept = named === null ? fields : without(fields, named)
  kept.push("X-Forwarded-For", socket.remoteAddress ?? "127.0.0.1", "X-Forwarded-Proto", "http")
  kept.push("X-Forwarded-Host", hostField)
  if (chunked) {
    kept.push("Transfer-Encoding", "chunked")
    if (trailer !== null) kept.push("Trailer", trailer)
  }
  // Without this, a method that usually has a body would get an empty chunked one.
  else if (length !== null || (method !== "GET" && method !== "HEAD"))
    kept.push("Content-Length", String(length ?? 0))
  if (upgrade) kept.push("Connection", "Upgrade", "Upgrade", upgradeTo)
  else if (takesTrailers) kept.push("Connection", "keep-alive, TE", "TE", "trailers")
  else kept.push("Connection", "keep-alive")
  return {
    host: bareHost(hostField),
    fault: faultOf(request, { hosts, hostField, coding, length }),
    hasBody: chunked || (length !== null && length !== 0),
    bodyBytes: length ?? 0,
    expectsContinue: expect,
    fields: kept
  }
}

/** The fields of an answer that go on to the client. */
export const responseFields = (rawHeaders: ReadonlyArray<string>): Array<string> => {
  const fields: Array<string> = []
  let named: Set<string> | null = null
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ""
    const value = rawHeaders[at + 1] ?? ""
    const lower = name.toLowerCase()
    if (lower === "connection") {
      if (!plainConnection.test(value)) named = namesIn(value, named)
    } else if (lower === "upgrade" || lower === "transfer-encoding" || hopByHop.has(lower)) continue
    else fields.push(name, value)
  }
  return named === null ? fields : without(fields, named)
}

/** What came after a body, as pairs; nothing that would change how the message was understood. */
export const trailerFields = (rawTrailers: ReadonlyArray<string>): Array<[string, string]> => {
  const fields: Array<[string, string]> = []
  for (let at = 0; at < rawTrailers.length; at += 2) {
    const name = rawTrailers[at] ?? ""
    const lower = name.toLowerCase()
    if (neverTrailing.test(lower) || hopByHop.has(lower) || isForwarding(lower)) continue
    fields.push([name, rawTrailers[at + 1] ?? ""])
  }
  return fields
}

/** Framing, routing, authentication and how a body is read (RFC 9110 §6.5.1). */
const neverTrailing =
  /^(?:connection|upgrade|host|expect|range|cookie|set-cookie|authorization|transfer-encoding|content-.+|proxy-.+|if-.+)$/u

const hopByHop = new Set(["keep-alive", "proxy-connection", "te", "trailer"])
const plainConnection = /^(?:keep-alive|close|upgrade)$/iu

/** What a client says about where it comes from is not to be believed. */
const isForwarding = (lower: string): boolean =>
  lower.startsWith("x-forwarded-") || lower === "forwarded" || lower === "x-real-ip"

/** Programs behind CGI and its heirs read `_` in a name as `-`; what is ours to say stays ours there too. */
const isDisguised = (lower: string): boolean => {
  if (!lower.includes("_")) return false
  const plain = lower.replaceAll("_", "-")
  return isForwarding(plain) || hopByHop.has(plain) || framing.has(plain)
}

const framing = new Set(["host", "connection", "upgrade", "content-length", "transfer-encoding"])

const namesIn = (value: string, named: Set<string> | null): Set<string> => {
  const names = named ?? new Set<string>()
  for (const name of value.split(",")) names.add(name.trim().toLowerCase())
  return names
}

const without = (fields: ReadonlyArray<string>, named: ReadonlySet<string>): Array<string> => {
  const kept: Array<string> = []
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ""
    const lower = name.toLowerCase()
    // Nobody may have these dropped on the way to whoever relies on them.
    if (named.has(lower) && lower !== "host" && lower !== "content-length") continue
    kept.push(name, fields[at + 1] ?? "")
  }
  return kept
}

const bareHost = (field: string): string => {
  const host = field.toLowerCase()
  const colon = host.lastIndexOf(":")
  const name = colon === -1 ? host : host.slice(0, colon)
  return name.endsWith(".") ? name.slice(0, -1) : name
}

interface Framing {
  readonly hosts: number
  readonly hostField: string
  readonly coding: string | null
  readonly length: number | null
}

/** What two readers could understand differently is for neither of them (RFC 9112 §11.2). */
const faultOf = (
  { httpVersion, method, rawHeaders, url = "" }: IncomingMessage,
  { coding, hostField, hosts, length }: Framing
): Page | null => {
  if (rawHeaders.length > 2 * headFields) return headTooLarge
  if (httpVersion !== "1.1" && httpVersion !== "1.0") {
    return badRequest("The only versions that are understood here are HTTP/1.1 and HTTP/1.0.")
  }
  if (hosts > 1) return badRequest("The request has more than one Host field.")
  if (hostField !== "" && !hostForm.test(hostField)) {
    return badRequest("The Host field has to be a host name, with a port or without.")
  }
  if (coding !== null && length !== null) {
    return badRequest("The request has both Transfer-Encoding and Content-Length.")
  }
  if (coding !== null && httpVersion !== "1.1") {
    return badRequest("Transfer-Encoding needs HTTP/1.1.")
  }
  if (coding !== null && coding.trim().toLowerCase() !== "chunked") {
    return badRequest("The only Transfer-Encoding that is understood here is chunked.")
  }
  if (url === "*" && method === "OPTIONS") return null
  return url.startsWith("/") && !url.includes("#")
    ? null
    : badRequest("The request target has to be a path without fragment; this is no forward proxy.")
}

const hostForm = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/iu
