/** What an agent deploys: a repository, a branch and settings, unique by name in a project. */
import { Schema } from "effect"
import { parseCron } from "../node/Cron.ts"
import { OwnerId, ProjectId, type RepositoryId, ServiceId, StageId } from "./Ids.ts"
import { BranchName, HttpPath, RelativePath, ServiceName } from "./Names.ts"

export const BuildPack = Schema.Literals(["auto", "static", "node", "python", "go", "dockerfile"])
export type BuildPack = typeof BuildPack.Type

/** What a service with a process does when nobody asks it: sleep until the next request, or run on. */
export const RunMode = Schema.Literals(["on_demand", "persistent"])
export type RunMode = typeof RunMode.Type

/**
 * What a service is: files; a program that answers at its URL, `webapp` below 500 at `/` and `backend`
 * with any status; or one that has no port.
 */
export const ServiceType = Schema.Literals(["webapp_static", "webapp", "backend", "worker"])
export type ServiceType = typeof ServiceType.Type

/** Five fields of cron, in UTC. */
export const CronSchedule = Schema.String.pipe(
  Schema.check(
    Schema.makeFilter((text) => {
      const found = parseCron(text)
      return typeof found === "string" ? found : true
    })
  )
)

const Command = Schema.String.pipe(
  Schema.check(
    Schema.isPattern(/^[^\0\r\n]{1,2000}$/u, {
      message: "one line of 1 to 2000 characters, e.g. node server.js"
    })
  )
)

/** Everything about a service that changes what is built or how it runs, variables aside. */
export const ServiceSettings = Schema.Struct({
  build_pack: BuildPack,
  /** The port the process listens on when it ignores PORT; absent: found by watching. */
  port: Schema.optionalKey(
    Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 65535 })))
  ),
  /** MiB. */
  memory: Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 32, maximum: 16384 }))),
  /** Cores; 0.5 is half a core. */
  cpu: Schema.Finite.pipe(Schema.check(Schema.isBetween({ minimum: 0.05, maximum: 16 }))),
  /** Absent: what is detected. */
  type: Schema.optionalKey(ServiceType),
  /** It has no standing process: each run is started when this is due, in UTC. */
  schedule: Schema.optionalKey(CronSchedule),
  /** Seconds after which a run is stopped; absent: 3600. */
  time_limit: Schema.optionalKey(
    Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 86_400 })))
  ),
  /** Absent: persistent. */
  mode: Schema.optionalKey(RunMode),
  /** Seconds without a request after which a service on demand is put to sleep; absent: 900. */
  idle_after: Schema.optionalKey(
    Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 10, maximum: 86_400 })))
  ),
  install_command: Schema.optionalKey(Command),
  build_command: Schema.optionalKey(Command),
  start_command: Schema.optionalKey(Command),
  root_directory: Schema.optionalKey(RelativePath),
  health_path: Schema.optionalKey(HttpPath)
})
export type ServiceSettings = typeof ServiceSettings.Type
export const settingNames = [
  "build_pack",
  "port",
  "memory",
  "cpu",
  "type",
  "schedule",
  "time_limit",
  "mode",
  "idle_after",
  "install_command",
  "build_command",
  "start_command",
  "root_directory",
  "health_path"
] as const satisfies ReadonlyArray<keyof ServiceSettings>
export const defaultMemory = 256
export const defaultCpu = 1
export const defaultMode: RunMode = "persistent"
export const defaultIdleAfter = 900
export const defaultTimeLimit = 3_600

/** Identity of a repository: `host/owner/name`. It may name one that does not exist yet. */
export const RepositoryIdentity = Schema.Struct({
  host: Schema.String,
  owner: Schema.String,
  name: Schema.String
})
export type RepositoryIdentity = typeof RepositoryIdentity.Type

/** A repository that has a row. */
export interface Repository extends RepositoryIdentity {
  readonly id: RepositoryId
}

/** As callers are shown it: `host/owner/name`. */
export const repositoryPath = ({ host, owner, name }: RepositoryIdentity): string =>
  `${host}/${owner}/${name}`

/** One service with its production stage, as rows hold it. */
export const Service = Schema.Struct({
  id: ServiceId,
  owner: OwnerId,
  project: ProjectId,
  stage: StageId,
  name: ServiceName,
  repository: RepositoryIdentity,
  branch: BranchName,
  settings: ServiceSettings,
  settingsRevision: Schema.Int,
  createdAt: Schema.Int
})
export type Service = typeof Service.Type
