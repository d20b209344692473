/** Runs image releases in containers of the Docker Engine on this machine. An ingress leads there. */
import { join } from "node:path"
import { Deploy, DeployError, type Observation } from "@deploy-mcp/domain/Deploy"
import { Unavailable, Unsupported } from "@deploy-mcp/domain/Fault"
import type { StageId } from "@deploy-mcp/domain/model/Ids"
import { defaultPauseAfter } from "@deploy-mcp/domain/node/Backoff"
import { neededOf, type StageSpec } from "@deploy-mcp/domain/node/NodeProtocol"
import { Host, make } from "@deploy-mcp/domain/Provider"
import { Config, Deferred, Duration, Effect, Layer, Queue, Schedule, Stream } from "effect"
import * as NodeState from "./NodeState.ts"
import * as Paused from "./Paused.ts"
import * as Session from "./Session.ts"
import { stageLog } from "./StageLog.ts"

const config = Config.all({
  /** The engine's socket; it needs root or the socket's group. */
  socket: Config.String("socket").pipe(Config.withDefault("/var/run/docker.sock")),
  /** In front of the names of containers and networks. */
  prefix: Config.String("prefix").pipe(Config.withDefault("deploy-mcp")),
  /** Where ports are published: where the ingress reaches this machine. */
  address: Config.String("address").pipe(Config.withDefault("127.0.0.1")),
  /** How long a replaced release goes on answering, so that nobody is cut off. */
  drain: Config.Duration("drain").pipe(Config.withDefault(Duration.seconds(10))),
  /** From SIGTERM to SIGKILL, in whole seconds. */
  grace: Config.Duration("grace").pipe(Config.withDefault(Duration.seconds(10))),
  /** MiB of one file of a container's log; three are kept. */
  logSize: Config.Int("log_size").pipe(Config.withDefault(10)),
  /** Ended containers that are kept for each stage, so that what they printed can be read. */
  keep: Config.Int("keep").pipe(Config.withDefault(4)),
  /**
   * Ends of a live process within ten minutes after which it is paused: it is started again by the next
   * release alone. 0: never.
   */
  restartLimit: Config.Int("restart_limit").pipe(Config.withDefault(defaultPauseAfter)),
  /** Containers may write anywhere in themselves, without a limit on the disk. */
  writable: Config.Boolean("writable").pipe(Config.withDefault(false))
})

const reconnect = Schedule.spaced("500 millis")

interface Connected {
  readonly epoch: number
  readonly session: Session.Session
  readonly change: NodeState.NodeState["change"]
  readonly lost: Deferred.Deferred<never, DeployError>
}

const layer = ({ socket, ...settings }: Config.Success<typeof config>) =>
  Layer.effect(
    Deploy,
    Effect.gen(function* () {
      const { directory } = yield* Host
      const paused = Paused.make(join(directory, "paused"))
      let state: NodeState.NodeState | null = null
      let problem = ""
      let connected: Connected | null = null

      /** One connection from hello to its end. */
      const converse = (epoch: number, out: Queue.Enqueue<Observation>) =>
        Effect.gen(function* () {
          state ??= yield* NodeState.open(directory)
          const { attach, change, key } = state
          yield* attach(epoch)
          const session = yield* Session.open({ socket, settings, key, paused, epoch, out })
          const lost = yield* Deferred.make<never, DeployError>()
          connected = { epoch, session, change, lost }
          problem = ""
          yield* session.listen.pipe(
            Effect.ensuring(
              Effect.suspend(() => {
                connected = null
                return Effect.andThen(
                  Deferred.fail(lost, away),
                  Queue.offer(out, { type: "away" as const })
                )
              })
            )
          )
        }).pipe(
          Effect.scoped,
          Effect.catchTag("DockerError", ({ detail }) => complain(detail)),
          Effect.catchTag("DeployError", (error) => complain(JSON.stringify(error.reason)))
        )

      /** Once, however often it is tried. */
      const complain = (detail: string) =>
        Effect.suspend(() => {
          if (detail === problem) return Effect.void
          problem = detail
          return Effect.logWarning(`no containers for now: ${detail}`)
        })

      /** What `next` says of the generations that are held decides which stages are put. */
      const tell = (
        specs: ReadonlyArray<StageSpec>,
        next: (
          generations: NodeState.Generations,
          known: ReadonlyArray<StageId>
        ) => {
          readonly generations: NodeState.Generations
          readonly answer: ReadonlyArray<StageSpec>
        }
      ) =>
        Effect.gen(function* () {
          if (specs.some(isPortless)) return yield* portless
          if (connected === null) return yield* away
          const { change, epoch, session } = connected
          const known = yield* session.known
          const put = yield* change(epoch, (generations) => next(generations, known))
          for (const spec of put) {
            yield* Effect.flatMap(session.stage(spec.stage), (stage) => stage.put(spec))
          }
        }).pipe(Effect.catchTag("DockerError", ({ detail }) => unavailable(detail)))

      return Deploy.of({
        routes: false,
        attach: (epoch) =>
          Stream.callback<Observation>((out) =>
            Effect.forkScoped(Effect.repeat(converse(epoch, out), reconnect))
          ),
        snapshot: (stages) =>
          tell(stages, (held, known) => {
            const newest = stages.filter((spec) => !isOlder(spec, held))
            const gone = known.filter((id) => stages.every(({ stage }) => stage !== id))
            return {
              generations: Object.fromEntries(
                stages.map(({ generation, stage }) => [
                  stage,
                  Math.max(generation, held[stage] ?? 0)
                ])
              ),
              answer: [...newest, ...gone.map((stage) => nothing(stage, held[stage] ?? 0))]
            }
          }),
        ensure: (spec) =>
          tell([spec], (held) =>
            isOlder(spec, held)
              ? { generations: held, answer: [] }
              : { generations: { ...held, [spec.stage]: spec.generation }, answer: [spec] }
          ),
        remove: (stage, generation) =>
          tell([], (held) => {
            if (isOlder({ stage, generation }, held)) return { generations: held, answer: [] }
            const { [stage]: _, ...others } = held
            return { generations: others, answer: [nothing(stage, generation)] }
          }),
        logs: (query) =>
          Stream.suspend(() =>
            connected === null
              ? Stream.fail(away)
              : stageLog(connected.session.engine, query).pipe(
                  Stream.mapError(({ detail }) => failure(detail)),
                  Stream.interruptWhen(Deferred.await(connected.lost))
                )
          )
      })
    })
  )

const isOlder = (
  { generation, stage }: Pick<StageSpec, "stage" | "generation">,
  held: NodeState.Generations
) => (held[stage] ?? -1) > generation

/** Everything of the stage leaves. */
const nothing = (stage: StageId, generation: number): StageSpec => ({
  stage,
  generation,
  name: "",
  tenant: 0,
  hostnames: [],
  route: null,
  releases: []
})

/** The engine restarts what has no port as well, but nobody here says when such a one is healthy. */
const isPortless = ({ releases }: StageSpec) =>
  releases.some(({ workload }) => neededOf(workload) !== null)
const portless = Effect.fail(
  new DeployError({ reason: new Unsupported({ feature: "workers without a port and schedules" }) })
)

const failure = (detail: string) => new DeployError({ reason: new Unavailable({ detail }) })
const unavailable = (detail: string) => Effect.fail(failure(detail))
const away = failure("The Docker Engine is not connected.")

export const DeployDocker = make({
  id: "docker",
  service: Deploy,
  summary: "Runs images in containers of the Docker Engine on this machine.",
  config,
  make: layer
})
