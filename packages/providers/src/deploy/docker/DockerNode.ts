/** A server with a Docker Engine for tests, seen as a visitor and as its operator see it. */
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, get, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Deploy, type Observation } from "@deploy-mcp/domain/Deploy"
import { ReleaseId, StageId } from "@deploy-mcp/domain/model/Ids"
import type {
  EndpointWorkload,
  ImageWorkload,
  ReleaseObserved,
  StageSpec
} from "@deploy-mcp/domain/node/NodeProtocol"
import { sealTo } from "@deploy-mcp/domain/node/SealedBox"
import { Host } from "@deploy-mcp/domain/Provider"
import { Context, Deferred, Duration, Effect, Layer, Schedule, type Scope, Stream } from "effect"
import { DockerEngine } from "../../testing/DockerEngine.ts"
import { DeployDocker } from "./DeployDocker.ts"

/** What outlives an instance of the provider, beside the engine: its folder. */
export class DockerNode extends Context.Service<DockerNode, { readonly directory: string }>()(
  "@deploy-mcp/providers/test/DockerNode"
) {
  static readonly layer = Layer.effect(
    DockerNode,
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "docker-node-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      ),
      (directory) => ({ directory })
    )
  )
}

const providerAt = (
  choose: (socket: string) => Effect.Effect<string, never, DockerNode | Scope.Scope>,
  restartLimit = 0
) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const engine = yield* DockerEngine
      const { address } = engine
      const socket = yield* choose(engine.socket)
      const { directory } = yield* DockerNode
      const host = { directory, artifacts: "", node: { bin: "", version: "" } }
      return DeployDocker.make({
        socket,
        address,
        prefix: "kit",
        drain: Duration.millis(50),
        grace: Duration.seconds(1),
        logSize: 1,
        writable: false,
        keep: 4,
        restartLimit
      }).pipe(Layer.provide(Layer.succeed(Host, host)))
    })
  )

export const provider = providerAt(Effect.succeed)
/** The same engine behind a wire that carries every change and loses its first answer. */
export const deafProvider = providerAt((socket) => deafSocket(socket))

/** Three ends are too many for it. */
export const impatientProvider = providerAt(Effect.succeed, 3)

/** A control that speaks to the node until the end of the scope. */
export interface Control {
  readonly deploy: typeof Deploy.Service
  /** What was told last of a release. */
  readonly seen: (release: ReleaseId) => ReleaseObserved | undefined
  readonly everSeen: ReadonlyArray<Observation>
  /** The first thing told, or already known, that is wanted. */
  readonly until: (
    release: ReleaseId,
    wanted: (observed: ReleaseObserved) => boolean
  ) => Effect.Effect<ReleaseObserved>
  readonly seal: (variables: Readonly<Record<string, string>>) => Effect.Effect<string>
}

let epoch = 0

export const controlOf = Effect.fnUntraced(function* (of: typeof provider) {
  const deploy = Context.get(yield* Layer.build(Layer.fresh(of)), Deploy)
  const everSeen: Array<Observation> = []
  const latest = new Map<ReleaseId, ReleaseObserved>()
  const hello = yield* Deferred.make<string>()
  epoch += 1
  yield* deploy.attach(epoch).pipe(
    Stream.runForEach((observed) => {
      everSeen.push(observed)
      if (observed.type === "release") latest.set(observed.release, observed)
      return observed.type === "hello" ? Deferred.succeed(hello, observed.nodeKey) : Effect.void
    }),
    Effect.forkScoped
  )
  const nodeKey = yield* Deferred.await(hello)
  const self: Control = {
    deploy,
    everSeen,
    seen: (release) => latest.get(release),
    until: (release, wanted) =>
      Effect.suspend(() => {
        const observed = latest.get(release)
        return observed !== undefined && wanted(observed)
          ? Effect.succeed(observed)
          : Effect.fail(observed)
      }).pipe(Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 1500 }), Effect.orDie),
    seal: (variables) => Effect.promise(() => sealTo(nodeKey, JSON.stringify(variables)))
  }
  return self
})
export const control = controlOf(provider)

/** A stage with a number and these releases, of which the first is routed to. */
export const stageOf = (n: number, workloads: ReadonlyArray<ImageWorkload>): StageSpec => {
  const releases = workloads.map((workload, index) => ({
    release: ReleaseId.make(`rel_${`${n}${index}`.padStart(20, "d")}`),
    workload
  }))
  return {
    stage: StageId.make(`stg_${String(n).padStart(20, "d")}`),
    generation: 1,
    name: `stage-${n}`,
    tenant: 1,
    hostnames: [`stage-${n}`],
    route: releases[0]?.release ?? null,
    releases
  }
}

/** The body of a 200; null where nothing answers. */
export const visit = (endpoint: EndpointWorkload | null): Effect.Effect<string | null> =>
  endpoint === null
    ? Effect.succeed(null)
    : Effect.callback<string | null>((resume) => {
        const { host, port } = endpoint
        get({ host, port, agent: false }, (answer) => {
          let body = ""
          answer.setEncoding("utf8").on("data", (chunk: string) => {
            body += chunk
          })
          answer.on("close", () => resume(Effect.succeed(answer.statusCode === 200 ? body : null)))
        }).on("error", () => resume(Effect.succeed(null)))
      })

/** A shell command line in the engine's image. */
export const command = (start: string, more: Partial<ImageWorkload> = {}) =>
  DockerEngine.use(({ image }) =>
    Effect.succeed<ImageWorkload>({
      kind: "image",
      image,
      start,
      variables: null,
      port: null,
      healthPath: null,
      memory: 64,
      cpu: 1,
      startTimeout: 20_000,
      ...more
    })
  )

/** A page on PORT that says this, with quick little tools of the image. */
export const page = (text: string, more: Partial<ImageWorkload> = {}) =>
  command(
    `mkdir /tmp/site && echo -n '${text}' > /tmp/site/index.html && exec httpd -f -p "$PORT" -h /tmp/site`,
    more
  )

export const often = Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(1500)])

/** What is told of the release once it is healthy. */
export const healthy = (told: Control, release: ReleaseId | null) =>
  release === null
    ? Effect.die("nothing is routed to")
    : told.until(release, ({ state }) => state === "healthy")

/** The first of a stage. */
export const released = ({ releases }: StageSpec): ReleaseId => {
  const [first] = releases
  if (first === undefined) throw new Error("a stage without a release")
  return first.release
}

/** The container of a release that runs, with all that the engine says of it; without an id: there is none. */
export const inspect = (release: ReleaseId | null) =>
  Effect.gen(function* () {
    const { call } = yield* DockerEngine
    const filters = encodeURIComponent(JSON.stringify({ label: [`deploy-mcp.release=${release}`] }))
    const listed = yield* call("GET", `/containers/json?filters=${filters}`)
    const id = /"Id":"([0-9a-f]{64})"/u.exec(listed.text)?.[1]
    const { text } = yield* call("GET", `/containers/${id}/json`)
    return {
      id,
      text,
      pid: Number(/"Pid":(\d+)/u.exec(text)?.[1]),
      address: /"IPAddress":"(\d[^"]*)"/u.exec(text)?.[1] ?? ""
    }
  })

const deafSocket = (socketPath: string) =>
  Effect.gen(function* () {
    const { directory } = yield* DockerNode
    const path = join(directory, "deaf.sock")
    const lost = new Set<string>()
    yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((incoming, outgoing) => {
          const { headers, method, url = "" } = incoming
          const forwarded = request({ socketPath, method, path: url, headers }, (answer) => {
            const isFirst = method !== "GET" && !lost.has(url)
            lost.add(url)
            if (isFirst) {
              answer.resume().once("end", () => incoming.socket.destroy())
              return
            }
            outgoing.writeHead(answer.statusCode ?? 500, answer.headers).flushHeaders()
            answer.pipe(outgoing)
          })
          forwarded.on("error", () => incoming.socket.destroy())
          outgoing.once("close", () => forwarded.destroy())
          incoming.pipe(forwarded)
        }).listen(path, () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    return path
  })
