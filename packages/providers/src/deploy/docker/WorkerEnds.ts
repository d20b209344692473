/** Workers that end are started again by the engine, for ever: here they are paused when that is too often. */
import type { StageId } from "@deploy-mcp/domain/model/Ids"
import { defaultBackoff, makeBreaker } from "@deploy-mcp/domain/node/Backoff"
import { steadyMillis } from "@deploy-mcp/domain/SteadyMillis"
import { Effect, Queue } from "effect"
import type { Contained } from "./Container.ts"
import type { Event } from "./DockerApi.ts"
import type { DockerError } from "./DockerSocket.ts"
import type { Engine } from "./Engine.ts"
import { exitOf, explain } from "./Explain.ts"
import { pause } from "./Retire.ts"

/** Counts those of a stage from now on. */
export const countWorkerEnds = (
  engine: Engine,
  stage: StageId,
  containers: Effect.Effect<ReadonlyArray<Contained>, DockerError>
) =>
  Effect.gen(function* () {
    const { api, paused, settings } = engine
    /** By container. */
    const breakers = new Map<string, ReturnType<typeof makeBreaker>>()
    const breakerOf = (id: string) => {
      const breaker =
        breakers.get(id) ?? makeBreaker({ ...defaultBackoff, pauseAfter: settings.restartLimit })
      breakers.set(id, breaker)
      return breaker
    }

    const ended = Effect.fnUntraced(function* (event: Event) {
      const held = (yield* containers).find(({ id }) => id === event.Actor.ID)
      if (held === undefined || held.worker === null || held.ended) return
      const noted = yield* paused.find(held.release, held.worker)
      // Somebody has started it at the very moment in which it was paused.
      if (noted !== null) return yield* pause(engine, held, noted)
      const inspected = yield* api.inspect(held.id)
      if (inspected === null) return
      const run = { ...held, inspected, after: 0n }
      const cause = yield* explain(engine, run, exitOf(event))
      const breaking = breakerOf(held.id)(cause, yield* steadyMillis)
      if (breaking === null) return
      yield* pause(engine, held, breaking)
      yield* Effect.logWarning(`worker ${held.worker} of ${stage} is paused: ${breaking.cause}`)
    })

    const events = yield* engine.hear(stage)
    for (;;) {
      const event = yield* Queue.take(events)
      if (event.Action !== "die") continue
      yield* Effect.catch(ended(event), ({ detail }) =>
        Effect.logDebug("the end of a worker is not counted:", detail)
      )
    }
  }).pipe(Effect.scoped)
