/**
 * What a container of ours is: how it is made of a workload, and what it says of itself, so that
 * whoever finds it knows what it is for. Nothing secret stands in a label.
 */
import { ReleaseId, StageId } from "@deploy-mcp/domain/model/Ids"
import type { ImageWorkload } from "@deploy-mcp/domain/node/NodeProtocol"
import { Schema } from "effect"
import type { Event, Inspected, Listed } from "./DockerApi.ts"

/** Processes of one container; as many as a service has elsewhere. */
const maximumPids = 512

/** What a label tells of a run, beside its names. */
const Run = Schema.Struct({
  /** The port in the container, and the one of the host that leads there; null: a worker has none. */
  port: Schema.NullOr(Schema.Int),
  hostPort: Schema.NullOr(Schema.Int),
  healthPath: Schema.NullOr(Schema.String),
  anyStatus: Schema.optionalKey(Schema.Boolean),
  startTimeout: Schema.Int,
  memory: Schema.Int,
  /** Names of the variables that were sealed: their values are taken out of what is printed. */
  secrets: Schema.Array(Schema.String)
})
export type Run = typeof Run.Type

export interface Contained {
  readonly id: string
  readonly stage: StageId
  readonly release: ReleaseId
  /** The name of a worker; null: the process that answers. */
  readonly worker: string | null
  readonly network: string
  /** It has been taken out of service. */
  readonly ended: boolean
  readonly runs: boolean
  /** Seconds since 1970. */
  readonly created: number
  readonly run: Run
}

const label = (name: string) => `deploy-mcp.${name}`
/** On everything that belongs to the platform with this key, and on nothing else. */
export const platformLabel = (platform: string) => `${label("platform")}=${platform}`
export const stageLabel = (stage: StageId) => `${label("stage")}=${stage}`

const decodeRun = Schema.decodeUnknownOption(Schema.fromJsonString(Run))
const decodeNames = Schema.decodeUnknownOption(
  Schema.Struct({ stage: StageId, release: ReleaseId })
)

/** The name of a container that is kept for what it printed. */
export const endedName = (prefix: string, id: string) => `${prefix}-ended-${id.slice(0, 12)}`

/** Null: it is not one that we made. */
export const containedIn = (listed: Listed): Contained | null => {
  const { Id: id, Labels: labels } = listed
  const names = decodeNames({
    stage: labels[label("stage")],
    release: labels[label("release")]
  })
  const run = decodeRun(labels[label("run")])
  if (names._tag === "None" || run._tag === "None") return null
  return {
    id,
    ...names.value,
    worker: labels[label("worker")] ?? null,
    network: labels[label("network")] ?? "",
    ended: listed.Names.some((name) => name.endsWith(`-ended-${id.slice(0, 12)}`)),
    runs: listed.State === "running" || listed.State === "restarting",
    created: listed.Created,
    run: run.value
  }
}

export interface Happening {
  readonly id: string
  readonly stage: StageId
}

/** The container of ours that an event is about. */
export const happeningTo = ({ Actor }: Event): Happening | null => {
  const names = decodeNames({
    stage: Actor.Attributes[label("stage")],
    release: Actor.Attributes[label("release")]
  })
  return names._tag === "None" ? null : { id: Actor.ID, stage: names.value.stage }
}

/** The values of the sealed variables, as the engine holds them. */
export const secretsOf = ({ Config }: Inspected, { secrets }: Run): ReadonlyArray<string> =>
  (Config.Env ?? []).flatMap((line) => {
    const at = line.indexOf("=")
    return secrets.includes(line.slice(0, at)) ? [line.slice(at + 1)] : []
  })

export interface Making {
  readonly platform: string
  readonly stage: StageId
  readonly generation: number
  readonly release: ReleaseId
  readonly workload: ImageWorkload
  readonly variables: Readonly<Record<string, string>>
  readonly network: string
  /** A worker's name and command line; null: the process that answers. */
  readonly worker: { readonly name: string; readonly start: string } | null
  readonly port: number
  /** Where the port is published. */
  readonly publish: { readonly address: string; readonly port: number }
  readonly writable: boolean
  /** Of one file of the log in MiB; three are kept. */
  readonly logSize: number
}

/** The body of `POST /containers/create`. */
export const bodyOf = (making: Making): object => {
  const { network, publish, worker, workload } = making
  const start = worker === null ? workload.start : worker.start
  const port = `${making.port}/tcp`
  const memory = workload.memory * 1024 * 1024
  return {
    Image: workload.image,
    // The whole group hears SIGTERM: a shell would keep it to itself.
    Env: [...environmentOf(making), "TINI_KILL_PROCESS_GROUP=1"],
    ...(start === null ? {} : { Entrypoint: ["/bin/sh", "-c"], Cmd: [start] }),
    ...(worker === null ? { ExposedPorts: { [port]: {} } } : {}),
    Labels: labelsOf(making),
    HostConfig: {
      NetworkMode: network,
      PortBindings:
        worker === null
          ? { [port]: [{ HostIp: publish.address, HostPort: String(publish.port) }] }
          : {},
      // The process that answers gets its policy when it has been healthy once.
      RestartPolicy: { Name: worker === null ? "no" : "unless-stopped" },
      Init: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges:true"],
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: Math.round(workload.cpu * 1e9),
      PidsLimit: maximumPids,
      ReadonlyRootfs: !making.writable,
      Tmpfs: Object.fromEntries(
        ["/tmp", "/var/tmp", "/run"].map((path) => [path, `exec,mode=1777,size=${memory}`])
      ),
      LogConfig: {
        Type: "json-file",
        Config: { "max-size": `${making.logSize}m`, "max-file": "3" }
      }
    }
  }
}

const environmentOf = ({ port, variables, worker }: Making): ReadonlyArray<string> =>
  Object.entries({
    HOST: "0.0.0.0",
    ...variables,
    // A worker that finds a PORT would listen on it, and nobody would ask there.
    ...(worker === null ? { PORT: String(port) } : {})
  })
    .filter(([name]) => worker === null || name !== "PORT")
    .map(([name, value]) => `${name}=${value}`)

const labelsOf = (making: Making): Record<string, string> => {
  const { publish, variables, worker, workload } = making
  const run: Run = {
    port: worker === null ? making.port : null,
    hostPort: worker === null ? publish.port : null,
    healthPath: workload.healthPath,
    ...(workload.anyStatus === undefined ? {} : { anyStatus: workload.anyStatus }),
    startTimeout: workload.startTimeout,
    memory: workload.memory,
    secrets: Object.keys(variables)
  }
  return {
    [label("platform")]: making.platform,
    [label("stage")]: making.stage,
    [label("release")]: making.release,
    [label("generation")]: String(making.generation),
    [label("network")]: making.network,
    [label("run")]: JSON.stringify(run),
    ...(worker === null ? {} : { [label("worker")]: worker.name })
  }
}

/** A bridge for one owner: containers on another one are not reached from it. */
export const networkOf = (platform: string, name: string): object => ({
  Name: name,
  CheckDuplicate: true,
  Driver: "bridge",
  Labels: { [label("platform")]: platform }
})
