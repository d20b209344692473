/** What callers may ask of services. */
import { Context, type Effect, type Redacted, Schema, type Stream } from "effect"
import type { CommandError } from "../Failure.ts"
import { LogLine } from "../model/LogLine.ts"
import type {
  BranchName,
  IdempotencyKey,
  ProjectName,
  RepositoryRef,
  ServiceName,
  VariableName
} from "../model/Names.ts"
import type { Principal } from "../model/Principal.ts"
import type { ServiceSettings } from "../model/Service.ts"
import type { DeploymentView, ServiceDetail, ServiceView } from "./Views.ts"

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
  readonly settings: Partial<ServiceSettings>
  readonly variables: Readonly<Record<VariableName, Redacted.Redacted>>
  readonly idempotencyKey?: IdempotencyKey
}

export interface DescribeService extends ServiceRef {
  readonly includeEnv: boolean
  readonly deployLogLines: number
  readonly runtimeLogLines: number
}

export const LogSource = Schema.Literals(["runtime", "build"])
export type LogSource = typeof LogSource.Type

export interface LogQuery extends ServiceRef {
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
    /** All of a project, or of all projects, by name. */
    readonly list: (input: {
      readonly project?: ProjectName
    }) => Command<ReadonlyArray<ServiceView>>
    readonly describe: (input: DescribeService) => Command<ServiceDetail>
    /** Queues a deployment of the branch's newest commit with the present settings. */
    readonly redeploy: (
      input: ServiceRef & { readonly idempotencyKey?: IdempotencyKey }
    ) => Command<DeploymentView>
    /**
     * Moves the service to the trash: it serves nothing from now on, its name and hostname are free.
     * Succeeds also when there is no such service.
     */
    readonly remove: (
      input: ServiceRef
    ) => Command<{ readonly removed: boolean; readonly name: ServiceName; readonly next: string }>
    readonly logs: (input: LogQuery) => Command<LogPage>
    /** The last `tail` runtime lines and then each new one, for ever. */
    readonly follow: (
      input: ServiceRef & { readonly tail: number }
    ) => Stream.Stream<LogLine, CommandError, Principal>
  }
>()("@deploy-mcp/domain/commands/Services") {}
