/** Makes a container of a workload, with its image, its network and its variables. */
import type { ProcessFailure } from "@deploy-mcp/domain/node/NodeProtocol"
import { openWith } from "@deploy-mcp/domain/node/SealedBox"
import { Effect, Random, Schedule, Schema } from "effect"
import { bodyOf, type Making, networkOf, platformLabel } from "./Container.ts"
import type { DockerError } from "./DockerSocket.ts"
import type { Engine } from "./Engine.ts"

/** Where nothing says another port. */
const usualPort = 8080
/** Below the ports that the system gives to outgoing connections, so that one stays free for a restart. */
const hostPorts = { from: 20_000, to: 32_767 }

export interface Wanted
  extends Pick<Making, "stage" | "generation" | "release" | "workload" | "worker"> {
  /** Service name. */
  readonly name: string
  readonly tenant: number
  /** The one that it was seen to listen on; null: not known yet. */
  readonly port: number | null
}

/** The id of a container that has not been started, or why there is none. */
export const make = (
  engine: Engine,
  wanted: Wanted
): Effect.Effect<string | ProcessFailure, DockerError> =>
  Effect.gen(function* () {
    const { api, platform, settings } = engine
    const { workload, worker } = wanted
    const variables = yield* openVariables(engine, workload.variables)
    if (variables === null)
      return notStarted("The variables are not sealed to the key of this node.")
    const exposed = yield* portsOf(engine, workload.image)
    if (exposed === null) return notStarted(`The image ${workload.image} is not on this node.`)
    const declared = exposed.length === 1 ? exposed[0] : undefined
    const port = wanted.port ?? workload.port ?? declared ?? usualPort
    const network = `${settings.prefix}-${platform}-${wanted.tenant}`
    const suffix = worker === null ? "" : `-${worker.name}`
    const name = `${settings.prefix}-${wanted.name}-${wanted.release}${suffix}`
    const body = bodyOf({
      ...wanted,
      ...settings,
      platform,
      variables,
      network,
      port,
      publish: {
        address: settings.address,
        port: yield* Random.nextIntBetween(hostPorts.from, hostPorts.to)
      }
    })
    return yield* ensureNetwork(engine, network).pipe(
      // 409: one that was there a moment ago has not quite gone.
      Effect.andThen(Effect.retry(api.create(name, body), whileInUse)),
      engine.making.withPermit,
      // Made half or made by a control that was cut off: it would be found by nobody.
      Effect.uninterruptible
    )
  }).pipe(
    Effect.catchIf(
      ({ status }) => status >= 400,
      ({ detail }) => Effect.succeed(notStarted(`Docker refuses it: ${detail}.`))
    )
  )

const whileInUse = {
  schedule: Schedule.spaced("300 millis"),
  times: 10,
  while: ({ status }: DockerError) => status === 409
}

export const notStarted = (cause: string): ProcessFailure => ({
  code: "start_failed",
  cause,
  evidence: [],
  port: null
})

const decodeVariables = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Record(Schema.String, Schema.String))
)

/** Null: they are for somebody else. */
const openVariables = ({ key }: Engine, box: string | null) =>
  box === null
    ? Effect.succeed({})
    : Effect.tryPromise(() => openWith(key, box)).pipe(
        Effect.flatMap(decodeVariables),
        Effect.orElseSucceed(() => null)
      )

/** An image that has no name but its digest is either here or nowhere. */
const portsOf = ({ api }: Engine, image: string) =>
  Effect.gen(function* () {
    const ports = yield* api.exposedPorts(image)
    if (ports !== null || image.startsWith("sha256:")) return ports
    return yield* api.pull(image).pipe(
      Effect.andThen(api.exposedPorts(image)),
      Effect.catchIf(
        ({ status }) => status >= 400,
        () => Effect.succeed(null)
      )
    )
  })

const ensureNetwork = ({ api, platform }: Engine, name: string) =>
  Effect.gen(function* () {
    const there = yield* api.networks(platformLabel(platform))
    if (there.every(({ Name }) => Name !== name)) {
      yield* api.createNetwork(networkOf(platform, name))
    }
  })
