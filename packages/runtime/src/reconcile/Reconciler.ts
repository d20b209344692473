/**
 * Compares the world with rows, at start and again and again: says each difference in a sentence and
 * mends it. What is found once may be a thing on its way, so it counts when it is still there a moment later.
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Logs } from "@deploy-mcp/domain/Logs"
import { Clock, Context, Effect, Layer, Metric, Schedule, Semaphore } from "effect"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import type { DeploymentEvents } from "../DeploymentEvents.ts"
import type { Builds, Gits } from "../Instances.ts"
import { edgeInstance } from "../instances/Builtin.ts"
import { Platform } from "../Platform.ts"
import { Publisher } from "../Publisher.ts"
import type { DeploymentStore } from "../store/DeploymentStore.ts"
import { JournalStore } from "../store/JournalStore.ts"
import type { EveryOwner } from "../store/Owned.ts"
import { ReconcileStore } from "../store/ReconcileStore.ts"
import type { ReleaseStore } from "../store/ReleaseStore.ts"
import type { TrashStore } from "../store/TrashStore.ts"
import type { ArtifactTurn } from "../workflows/ArtifactTurn.ts"
import type { Coordinator } from "../workflows/Coordinator.ts"
import type { Difference } from "./Difference.ts"
import { homeDifferences } from "./HomeDifferences.ts"
import type { Reconciled } from "./Reconciled.ts"
import { rowDifferences } from "./RowDifferences.ts"

export interface ReconcileOptions {
  /** Milliseconds between two times, the first at start; 0: that one alone; null: when it is asked to. */
  readonly every: number | null
  /** Milliseconds that a thing without a row is left alone, such as a build that just began. */
  readonly grace: number
  /** Milliseconds between the two looks that a difference must outlast. */
  readonly settle: number
}

export class Reconciler extends Context.Service<
  Reconciler,
  {
    /** What differs now, without doing anything about it. */
    readonly look: Effect.Effect<ReadonlyArray<Difference>>
    /** Says and mends what differs, and tells what it was. */
    readonly reconcile: Effect.Effect<ReadonlyArray<Difference>>
  }
>()("@deploy-mcp/runtime/Reconciler") {}

const differencesFound = Metric.counter("deploy_mcp_reconcile_differences_total", {
  description: "Differences between the world and the rows, by kind and by what came of them",
  incremental: true
})
const runs = Metric.counter("deploy_mcp_reconcile_runs_total", {
  description: "Comparisons of the world with the rows that came to their end",
  incremental: true
})

/** What a platform has: nothing takes an hour from its first file to its row. */
export const patience = { grace: 60 * 60_000, settle: 3_000 }

/** How long the first comparison waits for a node that is slow to come. */
const nodePatience = "30 seconds"

type Needs =
  | ArtifactTurn
  | Builds
  | Coordinator
  | DeploymentEvents
  | DeploymentStore
  | EveryOwner
  | Gits
  | Logs
  | Platform
  | Publisher
  | ReleaseStore
  | TrashStore
  | WorkflowEngine

const make = Effect.fnUntraced(function* ({ every, grace, settle }: ReconcileOptions) {
  const context = yield* Effect.context<Needs | JournalStore | ReconcileStore>()
  const publisher = yield* Publisher
  const { home } = yield* Platform
  const alone = yield* Semaphore.make(1)

  const nodeDifferences = Effect.map(publisher.differences, (all) =>
    all.map(
      ({ stage, sentence }): Difference => ({
        kind: "node",
        subject: `${stage} ${sentence}`,
        sentence,
        remedy: "the nodes are told everything again",
        mend: publisher.catchUp
      })
    )
  )

  const once = Effect.all([nodeDifferences, rowDifferences, homeDifferences(grace)]).pipe(
    Effect.map((all) => all.flat()),
    Effect.provideContext(context)
  )

  const look = Effect.gen(function* () {
    const first = yield* once
    if (first.length === 0) return first
    yield* Effect.sleep(settle)
    const names = new Set(first.map(nameOf))
    return (yield* once).filter((difference) => names.has(nameOf(difference)))
  })

  const reconcile = Effect.gen(function* () {
    const found = yield* look
    const outcomes: Array<Reconciled["differences"][number]> = []
    const done = new Set<Difference["mend"]>()
    for (const difference of found) {
      const outcome = yield* mended(difference, done.has(difference.mend))
      if (outcome === "mended") done.add(difference.mend)
      outcomes.push({ kind: difference.kind, sentence: difference.sentence, outcome })
      yield* Metric.update(
        Metric.withAttributes(differencesFound, { kind: difference.kind, outcome }),
        1
      )
    }
    yield* Metric.update(runs, 1)
    yield* note(home, { at: yield* Clock.currentTimeMillis, differences: outcomes })
    return found
  }).pipe(alone.withPermit)

  if (every !== null) {
    yield* publisher.awaitNode(edgeInstance).pipe(
      Effect.timeoutOption(nodePatience),
      Effect.andThen(Effect.sleep(settle)),
      Effect.andThen(
        reconcile.pipe(
          Effect.catchCause((cause) => Effect.logError("the comparison with rows failed", cause)),
          every === 0 ? Effect.asVoid : Effect.repeat(Schedule.spaced(every))
        )
      ),
      Effect.forkScoped
    )
  }
  return Reconciler.of({ look, reconcile })
})

const nameOf = ({ kind, subject }: Difference) => `${kind} ${subject}`

/** `isDone`: the same remedy was just there for another difference. */
const mended = ({ sentence, remedy, mend }: Difference, isDone: boolean) =>
  mend === null
    ? Effect.as(Effect.logWarning(`${sentence} Left: ${remedy}.`), "left" as const)
    : (isDone ? Effect.void : mend).pipe(
        Effect.andThen(Effect.logWarning(`${sentence} Mended: ${remedy}.`)),
        Effect.as("mended" as const),
        Effect.catchCause((cause) =>
          Effect.as(
            Effect.logError(`${sentence} It could not be mended now.`, cause),
            "failed" as const
          )
        )
      )

/** For `deploy-mcp doctor`, which asks no door. */
const note = (home: string, reconciled: Reconciled) =>
  Effect.sync(() => {
    const run = join(home, "run")
    const file = join(run, "reconciled.json")
    // Not with what is above it: a home that is gone is not made anew.
    if (!existsSync(run)) mkdirSync(run, { mode: 0o700 })
    writeFileSync(`${file}.new`, JSON.stringify(reconciled), { mode: 0o600 })
    renameSync(`${file}.new`, file)
  })

export const layer = (options: ReconcileOptions) =>
  Layer.effect(Reconciler, make(options)).pipe(
    Layer.provide(Layer.merge(ReconcileStore.layer, JournalStore.layer))
  )
