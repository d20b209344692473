/** Looking at deployments, and waiting for one. */
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { refuse } from "@deploy-mcp/domain/Failure"
import { isFinished } from "@deploy-mcp/domain/model/Deployment"
import { requireScope } from "@deploy-mcp/domain/model/Principal"
import { Effect, Layer, Option } from "effect"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { Present } from "./Present.ts"
import { ServiceLookup } from "./ServiceLookup.ts"

/** Events are in process; another runner's changes are seen at this pace. */
const recheck = "2 seconds"

const make = Effect.gen(function* () {
  const lookup = yield* ServiceLookup
  const store = yield* DeploymentStore
  const events = yield* DeploymentEvents
  const present = yield* Present

  return Deployments.of({
    list: Effect.fn("Deployments.list")(function* (input) {
      yield* requireScope("services:read")
      const service = yield* lookup.service(input)
      const rows = yield* store.list(
        service.ownerId,
        service.stageId,
        input.limit,
        input.before ?? null
      )
      return yield* present.deployments(rows, service.label)
    }),

    wait: Effect.fn("Deployments.wait")(function* (input) {
      yield* requireScope("services:read")
      const service = yield* lookup.service(input)
      const wanted =
        input.number === undefined
          ? yield* store.newest(service.stageId)
          : yield* store.byNumber(service.ownerId, service.stageId, input.number)
      if (Option.isNone(wanted)) {
        return yield* refuse(
          input.number === undefined ? "nothing_to_deploy" : "not_found",
          input.number === undefined
            ? `${service.name} has no deployment yet.`
            : `deployment: there is no ${service.name}#${input.number}.`
        )
      }
      const { id } = wanted.value
      let told = ""

      /** Ended, and seen by the node: `finishedAt` is written once the route answers. */
      const look = Effect.gen(function* () {
        const row = yield* store.byId(id)
        const deployment = yield* present.deployment(row, service.label)
        const state = `${deployment.status} ${deployment.phase}`
        if (state !== told) yield* input.onChange(deployment)
        told = state
        return { deployment, finished: isFinished(row.status) && row.finishedAt !== null }
      })

      return yield* Effect.gen(function* () {
        const next = yield* events.subscribe
        const mine = next.pipe(
          Effect.repeat({
            until: (event) => event.kind === "changed" && event.deployment === id
          }),
          Effect.timeoutOption(recheck)
        )
        for (;;) {
          const seen = yield* look
          if (seen.finished) return seen
          yield* mine
        }
      }).pipe(
        Effect.scoped,
        Effect.timeoutOrElse({ duration: input.timeoutMs, orElse: () => look })
      )
    })
  })
})

export const layer = Layer.effect(Deployments, make)
