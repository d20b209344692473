/**
 * How many requests one caller may have under way at all doors together: one key, or one address
 * where there is none. Whoever waits for a deployment or follows a log has one under way.
 */
import { type Failure, refuse } from "@deploy-mcp/domain/Failure"
import { makeCounts } from "@deploy-mcp/edge/Counts"
import { refusalHeaders, statusOf } from "@deploy-mcp/mcp/Refusal"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as GitPush from "./GitPush.ts"

export interface DoorLimits {
  /** With one key. It need not be a valid one: nobody has looked yet. */
  readonly perKey: number
  /** Without a key from one address. */
  readonly perAddress: number
  /** Of all callers. */
  readonly inAll: number
}

export const defaultDoorLimits: DoorLimits = { perKey: 256, perAddress: 128, inAll: 2_048 }

export const layer = (limits: Partial<DoorLimits> = {}) => {
  const { inAll, perAddress, perKey } = { ...defaultDoorLimits, ...limits }
  return HttpRouter.middleware(
    Effect.sync(() => {
      const counts = makeCounts()
      return (answer) =>
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const response = NodeHttpServerRequest.toServerResponse(request)
          const { authorization } = request.headers
          const caller = authorization === undefined ? addressOf(request) : `key ${authorization}`
          const most = authorization === undefined ? perAddress : perKey
          if (!counts.take(caller, most)) return refusalOf(request, tooMany(most))
          if (!counts.take(everybody, inAll)) {
            counts.give(caller)
            return refusalOf(request, tooBusy)
          }
          response.once("close", () => {
            counts.give(everybody)
            counts.give(caller)
          })
          return yield* answer
        })
    }),
    { global: true }
  )
}

const everybody = "all"

const addressOf = (request: HttpServerRequest.HttpServerRequest): string => {
  const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
  return `address ${socket.remoteAddress ?? ""}`
}

const tooMany = (most: number): Failure =>
  refuse("rate_limited", `This caller has ${most} requests under way, as many as it may have.`, {
    next: "Wait for some of them to be answered, then try again.",
    retry_after: 1
  }).failure

const tooBusy: Failure = refuse(
  "unavailable",
  "The platform has as many requests under way as it can.",
  {
    retry_after: 1
  }
).failure

/** In the words of the door that was asked. */
const refusalOf = (request: HttpServerRequest.HttpServerRequest, failure: Failure) =>
  request.url.startsWith("/git/")
    ? GitPush.refusal(failure)
    : HttpServerResponse.jsonUnsafe(
        { error: failure },
        { status: statusOf(failure.code), headers: refusalHeaders(failure, undefined) }
      )
