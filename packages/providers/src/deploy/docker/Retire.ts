/**
 * Takes containers out of service. They get another name and stay for a while, stopped: so what
 * they printed can still be read, and nobody takes one for what is wanted.
 */
import type { ProcessFailure } from "@deploy-mcp/domain/node/NodeProtocol"
import { Effect } from "effect"
import { type Contained, endedName, platformLabel } from "./Container.ts"
import type { DockerError } from "./DockerSocket.ts"
import type { Engine } from "./Engine.ts"

/** Returns when they have ended. */
export const retire = ({ api, settings }: Engine, ones: ReadonlyArray<Contained>) =>
  Effect.forEach(
    ones,
    (one) =>
      // The name first: whoever comes after a crash knows that it has to end.
      Effect.andThen(
        one.ended ? Effect.void : api.rename(one.id, endedName(settings.prefix, one.id)),
        api.stop(one.id, settings.grace)
      ),
    { concurrency: "unbounded", discard: true }
  )

/**
 * Stops one that is wanted, and keeps why: the note comes first, so that whoever is in control after a
 * crash does not start it. The engine does not either, once it was told to stop it.
 */
export const pause = (
  { api, paused, settings }: Engine,
  { id, release, worker }: Contained,
  why: ProcessFailure
) => Effect.andThen(paused.note(release, worker, why), api.stop(id, settings.grace))

/** Of a stage's containers that have ended the newest stay; those that still run are stopped. */
export const tidy = (
  engine: Engine,
  stage: ReadonlyArray<Contained>,
  keep: number
): Effect.Effect<void, DockerError> =>
  Effect.gen(function* () {
    const ended = stage.filter((one) => one.ended).sort((a, b) => b.created - a.created)
    yield* retire(
      engine,
      ended.filter(({ runs }) => runs)
    )
    const tooMany = ended.slice(keep)
    if (tooMany.length === 0) return
    yield* Effect.forEach(tooMany, ({ id }) => engine.api.remove(id), { discard: true })
    yield* sweepNetworks(engine)
  })

/** Takes away the networks of owners who run nothing here any more: an engine has only some thirty. */
const sweepNetworks = ({ api, making, platform }: Engine) =>
  Effect.gen(function* () {
    const label = platformLabel(platform)
    const used = (yield* api.containers([label])).flatMap(({ Labels }) => Object.values(Labels))
    const unused = (yield* api.networks(label)).filter(({ Name }) => !used.includes(Name))
    yield* Effect.forEach(unused, ({ Id }) => api.removeNetwork(Id), { discard: true })
  }).pipe(making.withPermit)
