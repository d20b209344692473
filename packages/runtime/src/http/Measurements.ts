/** `/api/v1/measure_services`: how busy the services of the key's owner are. Programs poll it. */
import type { Measurements } from "@deploy-mcp/domain/commands/Measurements"
import { refuse } from "@deploy-mcp/domain/Failure"
import { Principal, requireScope } from "@deploy-mcp/domain/model/Principal"
import type { Commands } from "@deploy-mcp/mcp/Tool"
import { Clock, Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { Deploys } from "../Instances.ts"
import { measured } from "../Measured.ts"
import type { ServiceStore } from "../store/ServiceStore.ts"
import { type ApiOptions, guarded } from "./Api.ts"

export const layer = (options: ApiOptions = {}) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const context = yield* Effect.context<Commands | Deploys | ServiceStore>()
      const answer = Effect.provideContext(guarded(options, measure), context)
      for (const method of ["GET", "POST"] as const) {
        yield* router.add(method, "/api/v1/measure_services", answer)
      }
    })
  )

const measure = Effect.gen(function* () {
  yield* requireScope("services:read")
  const { owner, project } = yield* Principal
  const all = yield* measured(owner)
  if (all === null) {
    return yield* refuse("unavailable", "The edge of this machine is not connected.")
  }
  const mine = all.stages.filter(({ projectId }) => project === null || projectId === project)
  const result: Measurements = {
    at: yield* Clock.currentTimeMillis,
    bounds: all.node.bounds,
    services: mine.map(({ name, projectName, metrics: { stage: _, ...counted } }) => ({
      name,
      project: projectName,
      ...counted
    }))
  }
  return HttpServerResponse.jsonUnsafe({ result })
})
