/**
 * Forgets what is old: deployments that nothing leads back to, with their logs and what the engine wrote
 * of them, workflows that have ended, older values of variables, and idempotency keys. It goes in small
 * steps, each of them whole, so that it can be cut off anywhere and holds nobody up.
 */
import type { DeploymentId } from "@deploy-mcp/domain/model/Ids"
import { Clock, Context, Effect, Layer, Metric, Schedule, Semaphore } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { DeploymentLog } from "../DeploymentLog.ts"
import { Platform } from "../Platform.ts"
import { HistoryStore, type PastDeployment } from "../store/HistoryStore.ts"
import { IdempotencyStore } from "../store/IdempotencyStore.ts"
import { JournalStore } from "../store/JournalStore.ts"
import { EveryOwner } from "../store/Owned.ts"
import { TrashStore } from "../store/TrashStore.ts"
import { removalOf } from "../workflows/RemoveService.ts"
import { retirementOf } from "../workflows/RetireRelease.ts"

export interface RetentionOptions {
  /** Milliseconds from the start to the first time; null: it is done when it is asked to. */
  readonly first: number | null
  /** Milliseconds from the end of one to the next; 0: the first is the only one. */
  readonly every: number
  /** Of what goes in one transaction. */
  readonly batch: number
  /** Milliseconds between two transactions, in which everybody else has a turn. */
  readonly pause: number
}

/** How many of each were forgotten. */
export interface Pruned {
  readonly deployments: number
  readonly workflows: number
  readonly variables: number
  readonly keys: number
}

export class Retention extends Context.Service<
  Retention,
  {
    /** Forgets all that is old now. What is asleep, live or kept to go back to stays, however old. */
    readonly prune: Effect.Effect<Pruned>
  }
>()("@deploy-mcp/runtime/Retention") {}

/** A start has better things to do first, and a transaction takes a few milliseconds. */
export const pace = { first: 60_000, batch: 50, pause: 20 }

/** On SQLite about a mebibyte stays empty, for what comes next. */
const spare = 256

const forgotten = Metric.counter("deploy_mcp_pruned_total", {
  description: "What was forgotten because it was old, by kind",
  incremental: true
})

const make = Effect.fnUntraced(function* ({ batch, every, first, ...options }: RetentionOptions) {
  const sql = yield* SqlClient
  const history = yield* HistoryStore
  const journal = yield* JournalStore
  const idempotency = yield* IdempotencyStore
  const trash = yield* TrashStore
  const everyone = yield* EveryOwner
  const log = yield* DeploymentLog
  const { keptHistory } = yield* Platform
  const alone = yield* Semaphore.make(1)
  const pause = Effect.sleep(options.pause)

  const whole = <A>(work: Effect.Effect<A>) =>
    sql.withTransaction(work).pipe(Effect.orDie, Effect.andThen(pause))

  /** False: its log can't be removed now, so its row has to stay. */
  const withoutLog = (deployment: DeploymentId) =>
    log.remove(deployment).pipe(
      Effect.as(true),
      Effect.catchCause((cause) =>
        Effect.as(Effect.logWarning(`the log of ${deployment} stays for now`, cause), false)
      )
    )

  /** What the engine wrote of them has no row to hold it then, and goes next. */
  const forgetDeployments = Effect.fnUntraced(function* (before: number) {
    let count = 0
    let after: PastDeployment | null = null
    for (;;) {
      const past: ReadonlyArray<PastDeployment> = yield* history.past(before, after, batch)
      const last = past.at(-1)
      if (last === undefined) return count
      after = last
      const alive = new Set(yield* journal.alive(past.flatMap(({ id }) => executionsOf(id))))
      const ended = past
        .map(({ id }) => id)
        .filter((id) => executionsOf(id).every((execution) => !alive.has(execution)))
      const going = yield* Effect.filter(ended, withoutLog)
      yield* whole(history.forget(going))
      count += going.length
    }
  })

  /** Those that a row can still start, or shows the steps of, are not among them. */
  const unheld = Effect.fnUntraced(function* (executions: ReadonlyArray<string>) {
    const known = yield* history.known(executions.map(deploymentOf))
    const removals = yield* trash.stages(everyone)
    const held = new Set([
      ...known.flatMap(executionsOf),
      ...removals.map(({ generation, id }) => removalOf(id, generation))
    ])
    return executions.filter((execution) => !held.has(execution))
  })

  const forgetWorkflows = Effect.fnUntraced(function* (before: number) {
    let count = 0
    let after = "0"
    for (;;) {
      const old = yield* journal.old(before, after, batch)
      const last = old.at(-1)
      if (last === undefined) return count
      after = last.asked
      const ended = old.filter(({ ended }) => ended === 1).map(({ execution }) => execution)
      const going = yield* unheld(ended)
      if (going.length > 0) yield* whole(journal.forget(going))
      count += going.length
    }
  })

  const forgetVariables = Effect.fnUntraced(function* (before: number) {
    let count = 0
    for (;;) {
      const gone = yield* history.forgetVariables(before, batch)
      count += gone
      if (gone < batch) return count
      yield* pause
    }
  })

  const giveBack = Effect.gen(function* () {
    while ((yield* history.emptyPages) >= 2 * spare) {
      yield* history.giveBack
      yield* pause
    }
  })

  const prune = Effect.gen(function* () {
    const before = (yield* Clock.currentTimeMillis) - keptHistory
    const pruned: Pruned = {
      keys: yield* idempotency.forgetOld(everyone),
      deployments: yield* forgetDeployments(before),
      workflows: yield* forgetWorkflows(before),
      variables: yield* forgetVariables(before)
    }
    yield* giveBack
    for (const [kind, count] of Object.entries(pruned)) {
      yield* Metric.update(Metric.withAttributes(forgotten, { kind }), count)
    }
    yield* Effect.logInfo("what was old is forgotten", pruned)
    return pruned
  }).pipe(alone.withPermit)

  if (first !== null) {
    yield* prune.pipe(
      Effect.catchCause((cause) => Effect.logError("what is old could not be forgotten", cause)),
      every === 0 ? Effect.asVoid : Effect.repeat(Schedule.spaced(every)),
      Effect.delay(first),
      Effect.forkScoped
    )
  }
  return Retention.of({ prune })
})

const executionsOf = (deployment: DeploymentId) => [deployment, retirementOf(deployment)]

/** The deployment whose execution it is, if it is one of a deployment. */
const deploymentOf = (execution: string) => execution.replace(/^retire-/u, "")

export const layer = (options: RetentionOptions) =>
  Layer.effect(Retention, make(options)).pipe(Layer.provide(HistoryStore.layer))
