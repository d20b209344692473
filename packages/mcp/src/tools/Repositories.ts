import {
  GitTokenView,
  Repositories,
  RepositorySummary,
  RepositoryView
} from "@deploy-mcp/domain/commands/Repositories"
import { RepositoryName, RepositoryRef } from "@deploy-mcp/domain/model/Names"
import { requireScope } from "@deploy-mcp/domain/model/Principal"
import { Effect, Schema } from "effect"
import * as Tool from "../Tool.ts"
import * as Fields from "./Fields.ts"

export const createRepo = Tool.make({
  name: "create_repo",
  title: "Create a repository",
  toolset: "deploy",
  description:
    "Create an empty git repository. One of that name that is there already is returned with created: false. Next: get_git_token, git push, create_service.",
  input: Schema.Struct({
    name: Tool.field(
      RepositoryName,
      "Lower-case letters, digits, '.', '_' and '-', at most 64 characters, e.g. my-saas"
    ),
    host: Fields.host,
    description: Schema.optionalKey(
      Tool.field(
        Schema.String.pipe(Schema.check(Schema.isMaxLength(500))),
        "One line for people, e.g. Shop front end"
      )
    ),
    idempotency_key: Fields.idempotencyKey
  }),
  output: RepositoryView,
  plans: true,
  hints: { readOnly: false, destructive: false, idempotent: true, openWorld: false },
  scope: "repositories:write",
  run: ({ idempotency_key, ...input }) =>
    Repositories.use((repositories) =>
      repositories.create({ ...input, ...Fields.keyed(idempotency_key) })
    )
})

export const getGitToken = Tool.make({
  name: "get_git_token",
  title: "Get a git token",
  toolset: "deploy",
  description:
    "Mint a temporary credential for one repository, with git commands that are ready to run. The answer holds a secret: use it in the commands, do not repeat it, commit it or put it in a file. Next: run the commands; a push deploys every service that follows the branch.",
  input: Schema.Struct({
    name: Tool.field(RepositoryRef, "Repository, e.g. my-saas or awake-dassie/my-saas"),
    host: Fields.host,
    access: Schema.optionalKey(
      Tool.field(
        Schema.Literals(["read", "write"]),
        "write (default) to push, read to clone and fetch only"
      )
    )
  }),
  output: GitTokenView,
  hints: { readOnly: false, destructive: false, idempotent: false, openWorld: false },
  scope: "repositories:read",
  run: ({ access = "write", ...input }) =>
    (access === "write" ? requireScope("repositories:write") : Effect.void).pipe(
      Effect.andThen(Repositories.use((repositories) => repositories.token({ ...input, access })))
    )
})

export const listRepos = Tool.make({
  name: "list_repos",
  title: "List repositories",
  toolset: "deploy",
  description:
    "List the git repositories with the services that deploy from each. Changes nothing.",
  input: Schema.Struct({}),
  output: Schema.Struct({ repositories: Schema.Array(RepositorySummary), next: Schema.String }),
  cut: {
    lists: [{ field: "repositories", keep: "first" }],
    narrow: "Delete repositories that are not needed."
  },
  hints: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  scope: "repositories:read",
  run: () =>
    Repositories.use((repositories) => repositories.list).pipe(
      Effect.map((repositories) => ({
        repositories,
        next:
          repositories.length === 0
            ? "There is none yet: create_repo."
            : "Call get_git_token for one of them, or create_service to deploy it."
      }))
    )
})

export const deleteRepo = Tool.make({
  name: "delete_repo",
  title: "Delete a repository",
  toolset: "deploy",
  description:
    "Delete a git repository with all its commits, for good: there is no undo. Ask the user first. Fails with repository_in_use while services deploy from it. Succeeds also when there is no such repository.",
  input: Schema.Struct({
    name: Tool.field(RepositoryRef, "Repository, e.g. my-saas"),
    host: Fields.host,
    confirm: Tool.field(Schema.String, "The name again, to guard against a slip"),
    idempotency_key: Fields.idempotencyKey
  }),
  output: Schema.Struct({ removed: Schema.Boolean, name: Schema.String, next: Schema.String }),
  plans: true,
  hints: { readOnly: false, destructive: true, idempotent: true, openWorld: false },
  scope: "repositories:delete",
  run: ({ confirm, idempotency_key, ...input }) =>
    confirm === input.name
      ? Repositories.use((repositories) =>
          repositories.remove({ ...input, ...Fields.keyed(idempotency_key) })
        )
      : Fields.unconfirmed("repository", input.name)
})

export const repositoryTools: ReadonlyArray<Tool.Tool> = [
  createRepo,
  getGitToken,
  listRepos,
  deleteRepo
]
