/**
 * The part of Docker's Engine API that is used here, as of version 1.41 (Docker 20.10), over the
 * engine's unix socket. Source: docs.docker.com/engine/api/v1.41. Not exported.
 */
import { Duration, Effect, Schema, type Scope, Stream } from "effect"
import {
  bytes,
  type Call,
  call,
  DockerError,
  decode,
  done,
  json,
  unlessMissing
} from "./DockerSocket.ts"

/** The oldest version with all that is asked for. */
const apiVersion = 1.41

const Labels = Schema.Record(Schema.String, Schema.String)

const Version = Schema.Struct({
  ApiVersion: Schema.String,
  MinAPIVersion: Schema.optionalKey(Schema.String)
})

const Info = Schema.Struct({
  MemoryLimit: Schema.Boolean,
  SwapLimit: Schema.Boolean,
  CpuCfsQuota: Schema.Boolean,
  PidsLimit: Schema.Boolean,
  LiveRestoreEnabled: Schema.Boolean,
  /** Such as `name=seccomp,profile=default`, `name=userns`. */
  SecurityOptions: Schema.NullOr(Schema.Array(Schema.String))
})
export type Info = typeof Info.Type

const Listed = Schema.Struct({
  Id: Schema.String,
  /** Each with a slash in front. */
  Names: Schema.Array(Schema.String),
  Labels,
  /** Seconds since 1970. */
  Created: Schema.Int,
  /** `created`, `running`, `restarting`, `exited`, … */
  State: Schema.String
})
export type Listed = typeof Listed.Type

const Inspected = Schema.Struct({
  Id: Schema.String,
  RestartCount: Schema.Int,
  State: Schema.Struct({
    /** As the state of a listed one. */
    Status: Schema.String,
    OOMKilled: Schema.Boolean,
    /** In the engine's own pid namespace; 0: it does not run. */
    Pid: Schema.Int,
    ExitCode: Schema.Int,
    StartedAt: Schema.String,
    /** Of the run before this one, if it runs. */
    FinishedAt: Schema.String
  }),
  Config: Schema.Struct({ Labels, Env: Schema.NullOr(Schema.Array(Schema.String)) }),
  HostConfig: Schema.Struct({ RestartPolicy: Schema.Struct({ Name: Schema.String }) })
})
export type Inspected = typeof Inspected.Type

const Event = Schema.Struct({
  /** `start`, `die`, `oom`, `destroy`, … */
  Action: Schema.String,
  /** Of a container: its name and labels are among the attributes, and `exitCode` when it dies. */
  Actor: Schema.Struct({ ID: Schema.String, Attributes: Labels }),
  timeNano: Schema.Finite
})
export type Event = typeof Event.Type

const Image = Schema.Struct({
  Config: Schema.NullOr(
    Schema.Struct({
      ExposedPorts: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown)))
    })
  )
})

const Network = Schema.Struct({ Id: Schema.String, Name: Schema.String, Labels })
const Created = Schema.Struct({ Id: Schema.String })
const Progress = Schema.Struct({ error: Schema.optionalKey(Schema.String) })

export interface LogRange {
  /** A number of lines, or all. */
  readonly tail: number | "all"
  readonly follow: boolean
  /** Seconds since 1970 with a fraction, as text; the API takes more digits than a number has. */
  readonly since?: string
  readonly until?: string
}

export interface DockerApi {
  readonly info: Effect.Effect<Info, DockerError>
  /** Of containers with this label. They are heard from the moment that this returns. */
  readonly events: (
    label: string
  ) => Effect.Effect<Stream.Stream<Event, DockerError>, DockerError, Scope.Scope>
  /** Those with all of these labels, also those that do not run. */
  readonly containers: (
    labels: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<Listed>, DockerError>
  /** Null: there is none. */
  readonly inspect: (id: string) => Effect.Effect<Inspected | null, DockerError>
  readonly create: (name: string, body: object) => Effect.Effect<string, DockerError>
  readonly start: (id: string) => Effect.Effect<void, DockerError>
  /** SIGTERM, or what its image says, and SIGKILL after some seconds. Returns when it has ended. */
  readonly stop: (id: string, grace: Duration.Duration) => Effect.Effect<void, DockerError>
  readonly rename: (id: string, name: string) => Effect.Effect<void, DockerError>
  readonly restartAlways: (id: string) => Effect.Effect<void, DockerError>
  /** With its volumes; kills it if it runs. */
  readonly remove: (id: string) => Effect.Effect<void, DockerError>
  /** What it printed, in frames: see LogFrames. */
  readonly logs: (
    id: string,
    range: LogRange
  ) => Effect.Effect<Stream.Stream<Uint8Array, DockerError>, DockerError, Scope.Scope>
  /** The TCP ports an image declares; null: there is no such image here. */
  readonly exposedPorts: (image: string) => Effect.Effect<ReadonlyArray<number> | null, DockerError>
  readonly pull: (image: string) => Effect.Effect<void, DockerError>
  readonly networks: (
    label: string
  ) => Effect.Effect<ReadonlyArray<typeof Network.Type>, DockerError>
  readonly createNetwork: (body: object) => Effect.Effect<void, DockerError>
  readonly removeNetwork: (id: string) => Effect.Effect<void, DockerError>
}

/** Asks the engine which versions it speaks; newer engines no longer speak the oldest ones. */
export const connect = (socket: string): Effect.Effect<DockerApi, DockerError> =>
  Effect.gen(function* () {
    const spoken = yield* json(Version, call(socket, "GET", "/version"))
    if (Number(spoken.ApiVersion) < apiVersion) {
      const detail = `The Docker Engine speaks API ${spoken.ApiVersion}; ${apiVersion} or later is needed.`
      return yield* new DockerError({ status: 0, detail })
    }
    const version = Math.max(apiVersion, Number(spoken.MinAPIVersion ?? apiVersion))
    return apiOf((method, path, body) =>
      call(socket, method, `/v${version.toFixed(2)}${path}`, body)
    )
  })

const apiOf = (call: Call): DockerApi => ({
  info: json(Info, call("GET", "/info")),
  events: (label) =>
    Effect.map(
      call("GET", `/events?filters=${filters({ type: ["container"], label: [label] })}`),
      (answer) =>
        Stream.decodeText(bytes(answer)).pipe(
          Stream.splitLines,
          Stream.filter((line) => line !== ""),
          Stream.mapEffect(decode(Event))
        )
    ),
  containers: (labels) =>
    json(
      Schema.Array(Listed),
      call("GET", `/containers/json?all=true&filters=${filters({ label: labels })}`)
    ),
  inspect: (id) => unlessMissing(json(Inspected, call("GET", `/containers/${id}/json`))),
  create: (name, body) =>
    Effect.map(
      json(Created, call("POST", `/containers/create?name=${encodeURIComponent(name)}`, body)),
      ({ Id }) => Id
    ),
  start: (id) => done(call("POST", `/containers/${id}/start`)),
  stop: (id, grace) =>
    Effect.asVoid(
      unlessMissing(
        done(call("POST", `/containers/${id}/stop?t=${Math.ceil(Duration.toSeconds(grace))}`))
      )
    ),
  rename: (id, name) =>
    Effect.asVoid(
      unlessMissing(done(call("POST", `/containers/${id}/rename?name=${encodeURIComponent(name)}`)))
    ),
  restartAlways: (id) =>
    done(
      call("POST", `/containers/${id}/update`, {
        RestartPolicy: { Name: "unless-stopped", MaximumRetryCount: 0 }
      })
    ),
  remove: (id) =>
    Effect.asVoid(unlessMissing(done(call("DELETE", `/containers/${id}?force=true&v=true`)))).pipe(
      // 409: somebody else is removing it.
      Effect.catchIf(
        ({ status }) => status === 409,
        () => Effect.void
      )
    ),
  logs: (id, { follow, since, tail, until }) => {
    const range = [
      `tail=${tail}`,
      `follow=${follow}`,
      ...(since === undefined ? [] : [`since=${since}`]),
      ...(until === undefined ? [] : [`until=${until}`])
    ]
    const path = `/containers/${id}/logs?stdout=true&stderr=true&timestamps=true&${range.join("&")}`
    return Effect.map(call("GET", path), bytes)
  },
  exposedPorts: (image) =>
    unlessMissing(
      Effect.map(
        json(Image, call("GET", `/images/${encodeURIComponent(image)}/json`)),
        ({ Config }) =>
          Object.keys(Config?.ExposedPorts ?? {})
            .filter((port) => port.endsWith("/tcp"))
            .map((port) => Number.parseInt(port, 10))
      )
    ),
  // It answers 200 before it begins; whether it succeeded stands in what follows.
  pull: (image) =>
    Effect.scoped(
      Effect.flatMap(
        call("POST", `/images/create?fromImage=${encodeURIComponent(image)}`),
        (answer) =>
          Stream.decodeText(bytes(answer)).pipe(
            Stream.splitLines,
            Stream.filter((line) => line !== ""),
            Stream.mapEffect(decode(Progress)),
            Stream.runForEach(({ error }) =>
              error === undefined
                ? Effect.void
                : Effect.fail(new DockerError({ status: 404, detail: error }))
            )
          )
      )
    ),
  networks: (label) =>
    json(Schema.Array(Network), call("GET", `/networks?filters=${filters({ label: [label] })}`)),
  createNetwork: (body) => done(call("POST", "/networks/create", body)),
  removeNetwork: (id) => Effect.asVoid(unlessMissing(done(call("DELETE", `/networks/${id}`))))
})

const filters = (wanted: Readonly<Record<string, ReadonlyArray<string>>>): string =>
  encodeURIComponent(JSON.stringify(wanted))
