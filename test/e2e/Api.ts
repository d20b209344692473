/** The HTTP API as a program uses it; answers are decoded with the contract's own schemas. */
import { GitTokenView, RepositoryView } from "@deploy-mcp/domain/commands/Repositories"
import { DeploymentView, ServiceDetail, ServiceView } from "@deploy-mcp/domain/commands/Views"
import { Failure } from "@deploy-mcp/domain/Failure"
import { Schema } from "effect"

/** An answer that is an error. */
export class Refused extends Error {
  readonly status: number
  readonly failure: Failure
  constructor(tool: string, status: number, failure: Failure) {
    super(`${tool}: ${status} ${JSON.stringify(failure)}`)
    this.status = status
    this.failure = failure
  }
}

const Created = Schema.Struct({ service: ServiceView, created: Schema.Boolean })
const Waited = Schema.Struct({ ...DeploymentView.fields, finished: Schema.Boolean })
const Deployments = Schema.Struct({ deployments: Schema.Array(DeploymentView) })
const Removed = Schema.Struct({ removed: Schema.Boolean })
const Who = Schema.Struct({ owner: Schema.String, platform: Schema.Array(Schema.String) })
const Lines = Schema.Struct({ lines: Schema.Array(Schema.Struct({ text: Schema.String })) })
const Body = Schema.Struct({
  result: Schema.optionalKey(Schema.Unknown),
  error: Schema.optionalKey(Failure)
})

type Arguments = Readonly<Record<string, unknown>>

export const apiOf = (url: () => string, key: () => string) => {
  const call = async (tool: string, args: Arguments = {}): Promise<unknown> => {
    const response = await fetch(`${url()}/api/v1/${tool}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key()}`, "content-type": "application/json" },
      body: JSON.stringify(args)
    })
    const { result, error } = Schema.decodeUnknownSync(Body)(await response.json())
    if (error !== undefined) throw new Refused(tool, response.status, error)
    return result
  }
  /** The typed failure that this call must end with. */
  const refused = async (tool: string, args: Arguments): Promise<Failure> => {
    const answer = await call(tool, args).catch((error: unknown) => error)
    if (answer instanceof Refused) return answer.failure
    throw new Error(`${tool} was not refused but answered ${JSON.stringify(answer)}`)
  }
  const pushUrl = async (name: string) =>
    Schema.decodeUnknownSync(GitTokenView)(await call("get_git_token", { name })).push_url
  const createRepo = async (name: string) =>
    Schema.decodeUnknownSync(RepositoryView)(await call("create_repo", { name }))
  return {
    call,
    refused,
    whoami: async () => Schema.decodeUnknownSync(Who)(await call("whoami")),
    createRepo,
    pushUrl,
    /** A new repository's push URL. */
    repository: async (name: string) => {
      await createRepo(name)
      return pushUrl(name)
    },
    createService: async (args: Arguments) =>
      Schema.decodeUnknownSync(Created)(await call("create_service", args)),
    service: async (name: string, more: Arguments = {}) =>
      Schema.decodeUnknownSync(ServiceDetail)(await call("get_service", { name, ...more })),
    redeploy: async (name: string, more: Arguments = {}) =>
      Schema.decodeUnknownSync(DeploymentView)(await call("redeploy_service", { name, ...more })),
    /** To the release that was live before this one, or to a deployment's. */
    rollback: async (name: string, more: Arguments = {}) =>
      Schema.decodeUnknownSync(DeploymentView)(await call("rollback_service", { name, ...more })),
    remove: async (name: string) =>
      Schema.decodeUnknownSync(Removed)(await call("delete_service", { name })),
    /** Newest first. */
    deployments: async (name: string) =>
      Schema.decodeUnknownSync(Deployments)(await call("list_deployments", { name })).deployments,
    buildLog: async (name: string, deployment: number) =>
      Schema.decodeUnknownSync(Lines)(
        await call("get_logs", { name, source: "build", deployment, tail_lines: 1000 })
      ).lines.map(({ text }) => text),
    /** The newest lines of the running program, its workers' among them. */
    runtimeLog: async (name: string) =>
      Schema.decodeUnknownSync(Lines)(await call("get_logs", { name, tail_lines: 1000 })).lines.map(
        ({ text }) => text
      ),
    /** Waits as often as it takes for a deployment to end; absent: the newest. */
    ended: async (name: string, deployment?: number) => {
      for (;;) {
        const seen = Schema.decodeUnknownSync(Waited)(
          await call("wait_for_deployment", {
            name,
            timeout_seconds: 45,
            ...(deployment === undefined ? {} : { deployment })
          })
        )
        if (seen.finished) return seen
      }
    }
  }
}

export type Api = ReturnType<typeof apiOf>
