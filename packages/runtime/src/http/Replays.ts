/** `/api/v1/replay_deployment`: what a deployment did, step by step. For people and their programs. */
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { decodeArguments } from "@deploy-mcp/mcp/Arguments"
import type { Commands } from "@deploy-mcp/mcp/Tool"
import { DeploymentRef, numberOf } from "@deploy-mcp/mcp/tools/Deployments"
import * as Fields from "@deploy-mcp/mcp/tools/Fields"
import { Effect, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type ApiOptions, guarded, readArguments } from "./Api.ts"

export const layer = (options: ApiOptions = {}) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const context = yield* Effect.context<Commands>()
      const answer = Effect.provideContext(guarded(options, replay), context)
      yield* router.add("POST", "/api/v1/replay_deployment", answer)
    })
  )

const decode = decodeArguments(
  Schema.Struct({
    name: Fields.name,
    project: Fields.project,
    deployment: Schema.optionalKey(DeploymentRef)
  })
)

const replay = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const { deployment, ...service } = yield* decode(yield* readArguments(request))
  const deployments = yield* Deployments
  const result = yield* deployments.replay({
    ...service,
    ...(yield* numberOf(deployment, service.name))
  })
  return HttpServerResponse.jsonUnsafe({ result })
})
