/** Looking at deployments, waiting for one and ending one. */
import { Deployments } from "@deploy-mcp/domain/commands/Deployments"
import { planned } from "@deploy-mcp/domain/commands/Plan"
import { refuse } from "@deploy-mcp/domain/Failure"
import { isFinished } from "@deploy-mcp/domain/model/Deployment"
import { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import { requireScope } from "@deploy-mcp/domain/model/Principal"
import { Effect, Layer, Option } from "effect"
import { DeploymentEvents } from "../DeploymentEvents.ts"
import { Platform } from "../Platform.ts"
import { DeploymentStore } from "../store/DeploymentStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import type { ServiceRow } from "../store/ServiceStore.ts"
import { Transactions } from "../store/Transactions.ts"
import { Coordinator } from "../workflows/Coordinator.ts"
import { Present } from "./Present.ts"
import { replayDeployment } from "./ReplayDeployment.ts"
import { ServiceLookup } from "./ServiceLookup.ts"

/** Events are in process; another runner's changes are seen at this pace. */
const recheck = "2 seconds"

const make = Effect.gen(function* () {
  const lookup = yield* ServiceLookup
  const store = yield* DeploymentStore
  const events = yield* DeploymentEvents
  const present = yield* Present
  const { whole } = yield* Transactions
  const idempotency = yield* IdempotencyStore
  const coordinator = yield* Coordinator
  const replay = yield* replayDeployment
  const { keptHistory } = yield* Platform
  const days = `${Math.round(keptHistory / 86_400_000)} days`

  /** One of a service's, by its number; the newest when none is given. */
  const find = Effect.fnUntraced(function* (service: ServiceRow, number: number | undefined) {
    const newest = yield* store.newest(service.ownerId, service.stageId)
    if (number === undefined) {
      if (Option.isSome(newest)) return newest.value
      return yield* refuse("nothing_to_deploy", `${service.name} has no deployment yet.`)
    }
    const wanted = yield* store.byNumber(service.ownerId, service.stageId, number)
    if (Option.isSome(wanted)) return wanted.value
    const was = Option.isSome(newest) && number < newest.value.number
    return yield* refuse(
      "not_found",
      was
        ? `deployment: ${service.name}#${number} is not kept any more: it ended more than ${days} ago (DEPLOY_MCP_KEEP_HISTORY).`
        : `deployment: there is no ${service.name}#${number}.`
    )
  })

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
      return yield* present.deployments(rows, service)
    }),

    wait: Effect.fn("Deployments.wait")(function* (input) {
      yield* requireScope("services:read")
      const service = yield* lookup.service(input)
      const { id } = yield* find(service, input.number)
      let told = ""

      /** Ended, and seen by the node: `finishedAt` is written once the route answers. */
      const look = Effect.gen(function* () {
        const row = yield* store.byId(service.ownerId, id)
        const deployment = yield* present.deployment(row, service)
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
    }),

    replay: Effect.fnUntraced(function* (input) {
      yield* requireScope("services:read")
      const service = yield* lookup.service(input)
      return yield* replay(yield* find(service, input.number), service)
    }),

    cancel: Effect.fn("Deployments.cancel")(function* (input) {
      yield* requireScope("services:deploy")
      const service = yield* lookup.service(input)
      const { subject, repeated } = yield* idempotency
        .once(
          {
            owner: service.ownerId,
            command: "cancel_deployment",
            key: input.idempotencyKey,
            request: [service.id, input.number ?? null],
            current: lookup.current(input)
          },
          Effect.gen(function* () {
            const { id, number, status } = yield* find(service, input.number)
            yield* planned(
              isFinished(status)
                ? `nothing: ${service.name}#${number} has ended`
                : `cancels ${service.name}#${number}; what is live stays live`
            )
            return id
          })
        )
        .pipe(whole)
      const id = DeploymentId.make(subject)
      const cancelled = !repeated && (yield* coordinator.cancel(service.ownerId, id))
      const after = yield* store.byId(service.ownerId, id)
      if (!cancelled && !repeated && after.status === "committed") {
        return yield* refuse(
          "too_late",
          `${service.name}#${after.number} is live already, so it can't be cancelled.`,
          {
            current: yield* lookup.current(input)
          }
        )
      }
      return yield* present.deployment(after, service)
    })
  })
})

export const layer = Layer.effect(Deployments, make)
