import { type CommandError, refuse } from "@deploy-mcp/domain/Failure"
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Calls from "./Calls.ts"
import { Client } from "./Client.ts"
import * as Git from "./Git.ts"
import { finish, paint, tell } from "./Output.ts"
import { mustBeLive, push, settle, summary } from "./Shipping.ts"
import * as Source from "./Source.ts"

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

export const deploy = Command.make(
  "deploy",
  {
    directory: Argument.String("dir").pipe(
      Argument.withDescription("Folder with the files; default the current one"),
      Argument.withDefault(".")
    ),
    name: text("name", "Name of the service; default the folder's name"),
    repo: text("repo", "Repository on the platform; default the service's name"),
    branch: text("branch", "Branch that the service follows; default main"),
    project: text("project", "Project of the service"),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Replace commits on the platform that are missing here"),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* (flags) {
    const source = yield* Source.open(flags.directory)
    const service = {
      name: Option.getOrElse(flags.name, () => source.name),
      project: Option.getOrUndefined(flags.project)
    }
    const client = yield* Client
    const { owner } = yield* client.call(Calls.whoami, {})
    const existing = yield* findService(service)
    const { repo, branch } = yield* target(existing, flags, source, service.name)

    yield* tell(`${paint("bold", service.name)} ← ${repo}@${branch}, as ${owner}`)
    for (const note of source.notes) yield* tell(paint("yellow", `  ${note}`))
    if (existing === null && !repo.includes("/")) {
      yield* client.call(Calls.createRepo, { name: repo })
    }
    const token = yield* client.call(Calls.getGitToken, { name: repo })
    const remote = Git.remoteOf(token.push_url)
    const commit = yield* Source.commit(source, remote, branch)
    yield* push({ directory: source.directory, commit, remote, branch, force: flags.force })
    if (existing === null) {
      yield* client.call(Calls.createService, {
        ...service,
        repo,
        branch,
        root_directory: source.rootDirectory
      })
    }
    const view = yield* ensureDeployed(service, existing?.latest_deployment?.number, commit.sha)
    yield* finish(view, summary(view))
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Deploy a folder: its committed state when it is a git repository, else its files without what .gitignore, node_modules and .env name. The folder is never changed"
  ),
  Command.withShortDescription("Deploy a folder and print its URL"),
  Command.withExamples([
    { command: "deploy-mcp deploy", description: "The current folder, under its own name" },
    { command: "deploy-mcp deploy ./site --name docs", description: "Another folder and name" },
    { command: "deploy-mcp deploy apps/web", description: "A folder inside of a repository" }
  ])
)

interface ServiceRef {
  readonly name: string
  readonly project: string | undefined
}

/** Null when there is no such service. */
const findService = Effect.fnUntraced(function* (service: ServiceRef) {
  const client = yield* Client
  const input = { ...service, deploy_log_lines: 0, runtime_log_lines: 0 }
  return yield* client
    .call(Calls.getService, input)
    .pipe(
      Effect.catchTag("CommandError", (error) =>
        error.failure.code === "not_found" ? Effect.succeed(null) : Effect.fail(error)
      )
    )
})

/** A service keeps its repository and branch; naming others is a mistake, not a wish to move it. */
const target = (
  existing: typeof Calls.getService.answer.Type | null,
  flags: { readonly repo: Option.Option<string>; readonly branch: Option.Option<string> },
  source: Source.Source,
  name: string
): Effect.Effect<{ readonly repo: string; readonly branch: string }, CommandError> => {
  const repo = Option.getOrUndefined(flags.repo)
  const branch = Option.getOrUndefined(flags.branch)
  if (existing === null) {
    const fallback = source.rootDirectory === undefined ? name : source.repositoryName
    return Effect.succeed({ repo: repo ?? fallback, branch: branch ?? "main" })
  }
  const own = existing.repo.split("/").slice(1).join("/")
  const differs =
    (repo !== undefined && own !== repo && !own.endsWith(`/${repo}`)) ||
    (branch !== undefined && branch !== existing.branch)
  return differs
    ? Effect.fail(
        refuse("name_taken", `The service '${name}' follows ${own}@${existing.branch}.`, {
          next: "Leave --repo and --branch out to deploy it, or choose another --name."
        })
      )
    : Effect.succeed({ repo: own, branch: existing.branch })
}

/** A push of what is there already starts nothing; unless it is live, it is then deployed again. */
const ensureDeployed = Effect.fnUntraced(function* (
  service: ServiceRef,
  before: number | undefined,
  sha: string
) {
  const client = yield* Client
  const newest = yield* settle(service)
  if (newest.number !== before || (newest.status === "live" && newest.commit === sha)) {
    return yield* mustBeLive(newest)
  }
  yield* tell(paint("dim", "  nothing new to push; deploying it again"))
  yield* client.call(Calls.redeployService, { ...service })
  return yield* mustBeLive(yield* settle(service))
})
