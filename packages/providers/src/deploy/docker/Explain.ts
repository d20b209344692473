/** Why a container has failed, in the words of the failure catalogue and with what it printed. */
import { redactor } from "@deploy-mcp/domain/model/LogLine"
import { evidenceLines, explainExit, keptLines } from "@deploy-mcp/domain/node/ExplainExit"
import type { ProcessFailure } from "@deploy-mcp/domain/node/NodeProtocol"
import { type Duration, Effect, Schedule, Stream } from "effect"
import { type Contained, secretsOf } from "./Container.ts"
import type { Event, Inspected } from "./DockerApi.ts"
import type { DockerError } from "./DockerSocket.ts"
import type { Engine } from "./Engine.ts"
import { lines, nanoseconds, type Printed, secondsText } from "./LogFrames.ts"

/** From one start of a container to its end. */
export interface Run extends Contained {
  readonly inspected: Inspected
  /** When the run before it ended. A first line can be older than what the engine calls the start. */
  readonly after: bigint
}

export interface Exit {
  readonly code: number
  /** Null: not known. */
  readonly at: bigint | null
}

/** That a `die` event tells of. */
export const exitOf = ({ Actor, timeNano }: Event): Exit => ({
  code: Number(Actor.Attributes.exitCode ?? 0),
  at: BigInt(timeNano)
})

/** Why it ended, with what it printed in that run. */
export const explain = (engine: Engine, run: Run, { at, code }: Exit) =>
  Effect.gen(function* () {
    const printed = yield* outputOf(engine, run, at)
    const outOfMemory = yield* isOutOfMemory(engine, run, code)
    const exit = { code, signal: null, outOfMemory, started: true }
    return explainExit(exit, { ownNetwork: true }, { memory: run.run.memory, port: null }, printed)
  })

/** What was killed may be said to have ended before it is said, here or there, that its memory was why. */
const isOutOfMemory = ({ api, lastOom }: Engine, { id, inspected }: Run, code: number) => {
  const { StartedAt } = inspected.State
  return api.inspect(id).pipe(
    Effect.map((now) => {
      const isSame = now?.State.StartedAt === StartedAt
      const isTold = lastOom(id) / million >= nanoseconds(StartedAt) / million
      return { isSame, outOfMemory: isTold || (isSame && now.State.OOMKilled) }
    }),
    Effect.repeat({
      until: ({ isSame, outOfMemory }) => outOfMemory || !isSame || code !== killed,
      schedule: Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(20)])
    }),
    Effect.map(({ outOfMemory }) => outOfMemory)
  )
}

/** A number of JSON is exact to some hundred nanoseconds only. */
const million = 1_000_000n

/** 128 and the number of SIGKILL, as a shell says it. */
const killed = 137

/** It is stopped; what it printed explains best why it does not listen. */
export const silence = (
  engine: Engine,
  run: Run,
  cause: ProcessFailure,
  grace: Duration.Duration
) =>
  Effect.gen(function* () {
    const printed = cause.evidence.length > 0 ? [] : yield* outputOf(engine, run, null)
    yield* engine.api.stop(run.id, grace)
    return { ...cause, evidence: [...cause.evidence, ...printed.slice(-evidenceLines)] }
  })

const outputOf = (
  { api }: Engine,
  run: Run,
  until: bigint | null
): Effect.Effect<ReadonlyArray<string>, DockerError> =>
  Effect.gen(function* () {
    const redact = redactor(secretsOf(run.inspected, run.run))
    const frames = yield* api.logs(run.id, {
      tail: keptLines,
      follow: false,
      ...(run.after > 0n ? { since: secondsText(run.after + 1n) } : {}),
      ...(until === null ? {} : { until: secondsText(until) })
    })
    const printed = yield* Stream.runCollect(lines(frames))
    return printed.map(({ text }: Printed) => redact(text))
  }).pipe(Effect.scoped)
