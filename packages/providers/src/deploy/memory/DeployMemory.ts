/**
 * A node in memory, for tests: releases are healthy at once, unless their artifact holds a file
 * `never-healthy` (then they fail) or `never-answers` (then they start for ever).
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Deploy, type Observation } from "@deploy-mcp/domain/Deploy"
import type { ReleaseId, StageId } from "@deploy-mcp/domain/model/Ids"
import { finder } from "@deploy-mcp/domain/model/LogLine"
import { nextAfter, parseCron } from "@deploy-mcp/domain/node/Cron"
import type {
  ReleaseObserved,
  ReleaseSpec,
  ReleaseState,
  Runs,
  StageSpec
} from "@deploy-mcp/domain/node/NodeProtocol"
import { generateNodeKey } from "@deploy-mcp/domain/node/SealedBox"
import { Clock, Context, Effect, Layer, Queue, Stream } from "effect"

/** What really runs, for tests to look at; it outlives the provider. */
export class NodeWorld extends Context.Service<
  NodeWorld,
  {
    /** Generation and route of each stage that the node knows. */
    readonly stages: Map<StageId, StageSpec>
    readonly running: Map<ReleaseId, ReleaseState>
    /** Each route a stage has had, oldest first. */
    readonly routes: Map<StageId, Array<ReleaseId | null>>
    /** What it says in its greeting that it runs without a port; undefined: it is older. */
    runs: ReadonlyArray<Runs> | undefined
    /** How often it was told everything. */
    snapshots: number
    /** It greets whoever is attached again, as a node does that was restarted in another version. */
    readonly restart: (runs: ReadonlyArray<Runs> | undefined) => void
    /** Greets one who is attached. */
    readonly greetings: Set<() => void>
  }
>()("@deploy-mcp/providers/NodeWorld") {
  static readonly layer = Layer.sync(NodeWorld, () => {
    const world: NodeWorld["Service"] = {
      stages: new Map(),
      running: new Map(),
      routes: new Map(),
      runs: ["worker", "schedule"],
      snapshots: 0,
      greetings: new Set(),
      restart: (runs) => {
        world.runs = runs
        for (const greet of world.greetings) greet()
      }
    }
    return world
  })
}

export const provider: Layer.Layer<Deploy, never, NodeWorld> = Layer.effect(
  Deploy,
  Effect.gen(function* () {
    const { publicKey } = yield* Effect.promise(generateNodeKey)
    const world = yield* NodeWorld
    const clock = yield* Clock.Clock
    const outs = new Set<Queue.Enqueue<Observation>>()
    const tell = (observation: Observation) => {
      for (const out of outs) Queue.offerUnsafe(out, observation)
    }

    const start = (stage: StageId, { release, workload }: ReleaseSpec) => {
      const state = workload.kind === "process" ? verdict(workload.directory) : "healthy"
      world.running.set(release, state)
      tell(releaseIs(stage, release, state))
    }

    const stop = (stage: StageId, release: ReleaseId) => {
      if (world.running.delete(release)) tell(releaseIs(stage, release, "stopped"))
    }

    /** Where the routed release is on a schedule. */
    const dueOf = ({ releases, route, stage }: StageSpec): ReadonlyArray<Observation> =>
      releases.flatMap(({ release, workload }) => {
        if (release !== route || workload.kind !== "process" || workload.schedule === undefined)
          return []
        const cron = parseCron(workload.schedule.cron)
        const next =
          typeof cron === "string" ? null : nextAfter(cron, clock.currentTimeMillisUnsafe())
        const state = world.running.get(release) ?? "stopped"
        return [{ ...releaseIs(stage, release, state), schedule: { next, last: null } }]
      })

    const drop = (spec: StageSpec) => {
      for (const { release } of spec.releases) stop(spec.stage, release)
    }

    const put = (spec: StageSpec) => {
      const known = world.stages.get(spec.stage)
      // As an edge: an equal generation is the same content.
      if (known !== undefined && known.generation >= spec.generation) return
      for (const { release } of known?.releases ?? []) {
        if (spec.releases.every((wanted) => wanted.release !== release)) stop(spec.stage, release)
      }
      world.stages.set(spec.stage, spec)
      for (const release of spec.releases) {
        if (!world.running.has(release.release)) start(spec.stage, release)
      }
      const routes = world.routes.get(spec.stage) ?? []
      if (routes.at(-1) !== spec.route) routes.push(spec.route)
      world.routes.set(spec.stage, routes)
      for (const observation of dueOf(spec)) tell(observation)
      tell({ type: "route", stage: spec.stage, generation: spec.generation, release: spec.route })
    }

    const remove = (stage: StageId, generation: number) => {
      const known = world.stages.get(stage)
      if (known !== undefined && known.generation > generation) return
      if (known !== undefined) drop(known)
      world.stages.delete(stage)
      tell({ type: "route", stage, generation, release: null })
    }

    return Deploy.of({
      routes: true,
      attach: (epoch) =>
        Stream.callback<Observation>((out) => {
          const greet = () => {
            Queue.offerUnsafe(out, hello(epoch, publicKey, world.runs))
            for (const spec of world.stages.values()) {
              const { stage, generation, route, releases } = spec
              for (const { release } of releases) {
                const state = world.running.get(release) ?? "stopped"
                Queue.offerUnsafe(out, releaseIs(stage, release, state))
              }
              for (const observation of dueOf(spec)) Queue.offerUnsafe(out, observation)
              if (route === null || world.running.get(route) === "healthy") {
                Queue.offerUnsafe(out, { type: "route", stage, generation, release: route })
              }
            }
          }
          outs.add(out)
          world.greetings.add(greet)
          greet()
          return Effect.addFinalizer(() =>
            Effect.sync(() => {
              outs.delete(out)
              world.greetings.delete(greet)
            })
          )
        }),
      snapshot: (stages) =>
        Effect.sync(() => {
          world.snapshots += 1
          for (const known of [...world.stages.values()]) {
            if (stages.every((spec) => spec.stage !== known.stage)) {
              remove(known.stage, known.generation)
            }
          }
          stages.forEach(put)
        }),
      ensure: (spec) => Effect.sync(() => put(spec)),
      remove: (stage, generation) => Effect.sync(() => remove(stage, generation)),
      logs: ({ stage, ...search }) =>
        Stream.fromIterable(world.stages.get(stage)?.releases ?? []).pipe(
          Stream.filter(({ release }) => world.running.get(release) === "failed"),
          Stream.map(({ release }) => ({ ...lastWords, release })),
          Stream.filter(finder(search))
        )
    })
  })
)

export const layer: Layer.Layer<Deploy | NodeWorld> = provider.pipe(
  Layer.provideMerge(NodeWorld.layer)
)

/** What each release printed that failed. */
const lastWords = { seq: 1, at: 0, stream: "stderr", text: "boom" } as const

const releaseIs = (stage: StageId, release: ReleaseId, state: ReleaseState): ReleaseObserved => ({
  type: "release",
  stage,
  release,
  state,
  restarts: 0,
  port: null,
  failure:
    state === "failed"
      ? { code: "exited", cause: "The process ended.", evidence: [lastWords.text], port: null }
      : null
})

const verdict = (directory: string): ReleaseState =>
  existsSync(join(directory, "never-healthy"))
    ? "failed"
    : existsSync(join(directory, "never-answers"))
      ? "starting"
      : "healthy"

const hello = (
  epoch: number,
  nodeKey: string,
  runs: ReadonlyArray<Runs> | undefined
): Observation => ({
  type: "hello",
  protocol: 1,
  pid: 0,
  epoch,
  revision: 0,
  nodeKey,
  appsPort: 0,
  problem: null,
  ...(runs === undefined ? {} : { runs }),
  isolation: {
    level: "plain",
    network: false,
    limits: { memory: false, cpu: false, pids: false },
    notes: []
  }
})
