/**
 * The doubles as a machine has them whose containers are led to by an ingress: the node tells where each
 * release is reached, and whatever visitors are led to is watched.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Build } from "@deploy-mcp/domain/Build"
import { Deploy, type Observation } from "@deploy-mcp/domain/Deploy"
import { Unavailable } from "@deploy-mcp/domain/Fault"
import { Ingress, IngressError, type IngressObservation } from "@deploy-mcp/domain/Ingress"
import type { Artifact } from "@deploy-mcp/domain/model/Artifact"
import type { ReleaseId, StageId } from "@deploy-mcp/domain/model/Ids"
import type { EndpointWorkload } from "@deploy-mcp/domain/node/NodeProtocol"
import { NodeWorld } from "@deploy-mcp/providers/deploy/memory/DeployMemory"
import { IngressWorld } from "@deploy-mcp/providers/ingress/memory/IngressMemory"
import { doublesIn } from "@deploy-mcp/runtime/compositions/testing"
import { Context, Effect, Layer, Queue, Stream } from "effect"

export class Elsewhere extends Context.Service<
  Elsewhere,
  {
    readonly endpointOf: (release: ReleaseId) => EndpointWorkload
    /** The container of a release is another one, with another address. */
    readonly restart: (stage: StageId, release: ReleaseId) => void
    /** Moments at which visitors were led to what did not run. */
    readonly cut: ReadonlyArray<string>
    /** What the node was told to run, of any kind. */
    readonly kinds: ReadonlySet<string>
    readonly ingress: { readonly leave: () => void; readonly return: () => void }
  }
>()("test/Elsewhere") {}

const world = Layer.effectContext(
  Effect.gen(function* () {
    const node = yield* NodeWorld
    const routes = yield* IngressWorld
    const deploy = yield* Deploy
    const ingress = yield* Ingress
    const build = yield* Build

    const ports = new Map<ReleaseId, number>()
    let lastPort = 20_000
    const endpointOf = (release: ReleaseId): EndpointWorkload => {
      const port = ports.get(release) ?? ++lastPort
      ports.set(release, port)
      return { kind: "endpoint", host: "127.0.0.1", port }
    }
    const cut: Array<string> = []
    const kinds = new Set<string>()
    const look = Effect.sync(() => {
      for (const { target } of routes.routes.values()) {
        if (target?.to.kind !== "endpoint" || node.running.has(target.release)) continue
        cut.push(target.release)
      }
    })

    const nodeSays = new Set<Queue.Enqueue<Observation>>()
    const located = (seen: Observation): Observation =>
      seen.type === "release" && seen.state === "healthy"
        ? { ...seen, endpoint: endpointOf(seen.release) }
        : seen
    const healthy = (stage: StageId, release: ReleaseId): Observation =>
      located({
        type: "release",
        stage,
        release,
        state: "healthy",
        restarts: 1,
        port: null,
        failure: null
      })

    let isAway = false
    const ingressSays = new Set<Queue.Enqueue<IngressObservation>>()
    const unless = <A>(effect: Effect.Effect<A, IngressError>) =>
      Effect.suspend(() =>
        isAway
          ? Effect.fail(new IngressError({ reason: new Unavailable({ detail: "It is away." }) }))
          : effect
      )

    const say = <A>(outs: Set<Queue.Enqueue<A>>, seen: A) => {
      for (const out of outs) Queue.offerUnsafe(out, seen)
    }
    const told = <A>(outs: Set<Queue.Enqueue<A>>) =>
      Stream.callback<A>((out) => {
        outs.add(out)
        return Effect.addFinalizer(() => Effect.sync(() => outs.delete(out)))
      })

    return Context.make(
      Deploy,
      Deploy.of({
        ...deploy,
        routes: false,
        attach: (epoch) => Stream.merge(Stream.map(deploy.attach(epoch), located), told(nodeSays)),
        snapshot: (stages) => Effect.andThen(deploy.snapshot(stages), look),
        ensure: (spec) => {
          for (const { workload } of spec.releases) kinds.add(workload.kind)
          return Effect.andThen(deploy.ensure(spec), look)
        },
        remove: (stage, generation) => Effect.andThen(deploy.remove(stage, generation), look)
      })
    ).pipe(
      Context.add(
        Ingress,
        Ingress.of({
          attach: (epoch) => Stream.merge(ingress.attach(epoch), told(ingressSays)),
          snapshot: (listed) => unless(ingress.snapshot(listed)),
          ensure: (route) => unless(ingress.ensure(route)),
          remove: (stage, generation) => unless(ingress.remove(stage, generation))
        })
      ),
      Context.add(
        Build,
        Build.of({
          ...build,
          find: (key) => Effect.map(build.find(key), (found) => found && asSite(found)),
          artifact: (request) => Effect.map(build.artifact(request), asSite)
        })
      ),
      Context.add(
        Elsewhere,
        Elsewhere.of({
          endpointOf,
          restart: (stage, release) => {
            ports.delete(release)
            say(nodeSays, healthy(stage, release))
          },
          cut,
          kinds,
          ingress: {
            leave: () => {
              isAway = true
              say(ingressSays, { type: "away" })
            },
            return: () => {
              isAway = false
              say(ingressSays, { type: "hello", problem: null })
              for (const { stage, generation, target } of routes.routes.values()) {
                const release = target?.release ?? null
                say(ingressSays, { type: "route", stage, generation, release })
              }
            }
          }
        })
      )
    )
  })
)

/** A source with a page is a site, any other one a program. */
const asSite = (artifact: Artifact): Artifact =>
  existsSync(join(artifact.directory, "index.html"))
    ? { ...artifact, runtime: { kind: "static", publish: "." } }
    : artifact

export const elsewhereIn = (home: string) => world.pipe(Layer.provideMerge(doublesIn(home)))
