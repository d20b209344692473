/** What callers may ask of services. */
import { Context, type Effect, type Redacted, Schema, type Stream } from "effect"
import type { CommandError } from "../Failure.ts"
import type { CommitFile } from "../Git.ts"
import { LogLine, type LogSearch } from "../model/LogLine.ts"
import type {
  BranchName,
  CommitSha,
  HostLabel,
  IdempotencyKey,
  ProjectName,
  RepositoryRef,
  ServiceName,
  VariableName
} from "../model/Names.ts"
import type { Principal } from "../model/Principal.ts"
import type { ServiceSettings } from "../model/Service.ts"
import type { DeploymentView, ServiceDetail, ServiceView, TrashedView } from "./Views.ts"

export interface ServiceRef {
  readonly name: ServiceName
  readonly project?: ProjectName
}

export interface CreateService {
  readonly name: ServiceName
  readonly repo: RepositoryRef
  readonly host?: string
  readonly branch?: BranchName
  readonly project?: ProjectName
  /** The deploy instance that runs it, for good; absent: the default one. */
  readonly region?: string
  readonly settings: Partial<ServiceSettings>
  readonly variables: Readonly<Record<VariableName, Redacted.Redacted>>
  /** Those of the variables that builds do not see. */
  readonly runtimeOnly?: ReadonlyArray<VariableName>
  readonly idempotencyKey?: IdempotencyKey
}

export interface UpdateService extends ServiceRef {
  readonly branch?: BranchName
  /** Only what changes. */
  readonly settings: Partial<ServiceSettings>
  /** Back to what is detected or the default. */
  readonly reset?: ReadonlyArray<keyof ServiceSettings>
  /** Added, or replaced one by one; the others stay. */
  readonly variables: Readonly<Record<VariableName, Redacted.Redacted>>
  /** Names that builds do not see from now on. */
  readonly runtimeOnly?: ReadonlyArray<VariableName>
  readonly removeVariables?: ReadonlyArray<VariableName>
  /** `revision` as get_service showed it: refused with `settings_changed` when it is another one now. */
  readonly expectedRevision?: number
  readonly idempotencyKey?: IdempotencyKey
}

export interface RollbackService extends ServiceRef {
  /** A deployment's number; absent: the newest one that was live before. */
  readonly to?: number
  readonly idempotencyKey?: IdempotencyKey
}

export interface RestoreService extends ServiceRef {
  /** Absent: the one it had. */
  readonly hostname?: HostLabel
  readonly idempotencyKey?: IdempotencyKey
}

export interface DeployFiles extends ServiceRef {
  /** The whole content of the branch from now on; or a tar archive of it, gzipped or not. */
  readonly source: ReadonlyArray<CommitFile> | Uint8Array
  /** Of the commit. */
  readonly message?: string
  readonly idempotencyKey?: IdempotencyKey
}

export interface DeleteService extends ServiceRef {
  readonly idempotencyKey?: IdempotencyKey
}

export interface DescribeService extends ServiceRef {
  readonly includeEnv: boolean
  readonly deployLogLines: number
  readonly runtimeLogLines: number
}

export const LogSource = Schema.Literals(["runtime", "build"])
export type LogSource = typeof LogSource.Type

/** Of the lines those that are looked for: `tail` counts these. */
export interface LogQuery extends ServiceRef, LogSearch {
  readonly source: LogSource
  /** Build logs: the deployment's number; absent: the newest. */
  readonly deployment?: number
  /** Only lines after this position. */
  readonly after?: number
  readonly tail: number
}

export const LogPage = Schema.Struct({
  lines: Schema.Array(LogLine),
  /** Give it as `after` to read on. */
  last: Schema.NullOr(Schema.Int),
  truncated: Schema.Boolean
})
export type LogPage = typeof LogPage.Type

type Command<A> = Effect.Effect<A, CommandError, Principal>

export interface ListServices {
  readonly project?: ProjectName
  readonly limit: number
  /** The one that the page before ended with. */
  readonly after?: { readonly name: string; readonly project: string }
}

export class Services extends Context.Service<
  Services,
  {
    /**
     * Makes the service's row and hostname and, when its branch has a commit, a queued deployment.
     * The same name and spec again answers `created: false`; another spec is `name_taken`.
     */
    readonly create: (
      input: CreateService
    ) => Command<{ readonly service: ServiceView; readonly created: boolean }>
    /**
     * Commits files to the service's branch and deploys them. A service that is missing is made, with a
     * repository of its name. Equal files make no new commit.
     */
    readonly deployFiles: (input: DeployFiles) => Command<{
      readonly service: ServiceView
      readonly created: boolean
      readonly commit: CommitSha
    }>
    /** Those of a project or of all projects, by name and then by the project's, one page. */
    readonly list: (input: ListServices) => Command<{
      readonly services: ReadonlyArray<ServiceView>
      /** How many there are in all. */
      readonly total: number
      /** Others come after the last of these. */
      readonly more: boolean
    }>
    /** What can still be restored, newest first. */
    readonly trash: (input: {
      readonly project?: ProjectName
    }) => Command<ReadonlyArray<TrashedView>>
    readonly describe: (input: DescribeService) => Command<ServiceDetail>
    /**
     * Changes what is named and nothing else, and queues a deployment that uses it. It builds again
     * only when the build could see the change. `changed` is empty when all was so already.
     */
    readonly update: (input: UpdateService) => Command<{
      readonly service: ServiceView
      readonly revision: number
      readonly changed: ReadonlyArray<string>
      /** Whether the build can see a change. */
      readonly rebuild: boolean
    }>
    /**
     * Queues a deployment of an older release, with its artifact, settings and variables: nothing is
     * built. Refused with `cannot_roll_back` when that one never was live or is not kept any more.
     */
    readonly rollback: (input: RollbackService) => Command<DeploymentView>
    /**
     * Takes a deleted service out of the trash and queues a deployment of its last live release.
     * `hostname_taken` when its hostname is; `restored: false` when it was not deleted.
     */
    readonly restore: (
      input: RestoreService
    ) => Command<{ readonly restored: boolean; readonly service: ServiceView }>
    /** Queues a deployment of the branch's newest commit with the present settings. */
    readonly redeploy: (
      input: ServiceRef & { readonly idempotencyKey?: IdempotencyKey }
    ) => Command<DeploymentView>
    /**
     * Moves the service to the trash: it serves nothing from now on, its name and hostname are free.
     * Succeeds also when there is no such service.
     */
    readonly remove: (
      input: DeleteService
    ) => Command<{ readonly removed: boolean; readonly name: ServiceName; readonly next: string }>
    readonly logs: (input: LogQuery) => Command<LogPage>
    /** The last `tail` runtime lines that are looked for and then each new one, for ever. */
    readonly follow: (
      input: ServiceRef & LogSearch & { readonly tail: number }
    ) => Stream.Stream<LogLine, CommandError, Principal>
  }
>()("@deploy-mcp/domain/commands/Services") {}
