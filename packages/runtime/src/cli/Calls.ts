/** The calls of the HTTP API that the command line makes, with what each answers. */
import { KeyView, WhoAmI } from "@deploy-mcp/domain/commands/Accounts"
import { Measurements } from "@deploy-mcp/domain/commands/Measurements"
import { Replay } from "@deploy-mcp/domain/commands/Replay"
import { GitTokenView, RepositoryView } from "@deploy-mcp/domain/commands/Repositories"
import { LogSource } from "@deploy-mcp/domain/commands/Services"
import {
  DeploymentView,
  LogLineView,
  ServiceSummary,
  ServiceView
} from "@deploy-mcp/domain/commands/Views"
import { Schema } from "effect"

export interface Call<A> {
  readonly tool: string
  readonly answer: Schema.Codec<A, unknown>
}

const call = <A>(tool: string, answer: Schema.Codec<A, unknown>): Call<A> => ({ tool, answer })

export const whoami = call("whoami", WhoAmI)
export const createRepo = call("create_repo", RepositoryView)
export const getGitToken = call("get_git_token", GitTokenView)
export const createService = call(
  "create_service",
  Schema.Struct({ service: ServiceView, created: Schema.Boolean })
)
export const listServices = call(
  "list_services",
  Schema.Struct({
    services: Schema.Array(ServiceSummary),
    total: Schema.Int,
    next_cursor: Schema.NullOr(Schema.String),
    next: Schema.String
  })
)
export const getService = call("get_service", ServiceView)
export const redeployService = call("redeploy_service", DeploymentView)
export const deleteService = call("delete_service", Schema.Struct({ removed: Schema.Boolean }))
export const waitForDeployment = call(
  "wait_for_deployment",
  Schema.Struct({ ...DeploymentView.fields, finished: Schema.Boolean })
)
export const getLogs = call(
  "get_logs",
  Schema.Struct({
    source: LogSource,
    lines: Schema.Array(LogLineView),
    truncated: Schema.Boolean
  })
)
export const replayDeployment = call("replay_deployment", Replay)
export const measureServices = call("measure_services", Measurements)
export const createKey = call("create_key", Schema.Struct({ key: KeyView, secret: Schema.String }))
export const listKeys = call("list_keys", Schema.Struct({ keys: Schema.Array(KeyView) }))
export const revokeKey = call("revoke_key", KeyView)
